# PR 39311: a fatal error in a child of an older generation, which a reload can cause, ended the whole server.

use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(probe_server wait_until);

my $FATAL = 15;    # APEXIT_CHILDFATAL

sub server {
    my (%mine) = @_;
    my $s = probe_server(backend => 1, conf => "KeepAliveTimeout 60\n",
        mpm => { ServerLimit => 4, ThreadsPerChild => 4, MaxRequestWorkers => 8, StartServers => 1,
            MinSpareThreads => 1, MaxSpareThreads => 100, %mine });
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

# A request of which the child that reads it has one half; what it does is done when the other half comes.
sub fatal_soon {
    my ($s) = @_;
    my $conn = $s->open_conn;
    $conn->send("GET /probe/exit?code=$FATAL HTTP/1.1\r\nHost: loc");
    ok wait_until { grep { $_->{busy} >= 2 } $s->processes } 5;
    return $conn;
}

subtest 'of an older generation, during the reload' => sub {
    my $s = server();
    my ($old) = $s->children;
    my $conn = fatal_soon($s);
    # Reading the new configuration takes the parent some time: the child fails meanwhile. The signal wakes a parent that sleeps.
    ok wait_until { $s->parent_sleeps } 5;
    $s->signal('STOP');
    $s->signal('USR1');
    $conn->send("alhost\r\n\r\n");
    ok $conn->eof_within(5), 'a child fails while the restart is pending';
    $s->clear_log_mark;
    $s->signal('CONT');
    ok $s->log_like(qr/AH00489/, 5), 'the server restarts';
    ok $s->log_like(qr/:alert\] .*AH00050: Child $old returned a Fatal error\.\.\. Apache is exiting!$/m, 5), 'AH00050';
    ok $s->log_like(qr/:warn\] .*AH00487: Ignoring fatal error in child of previous generation \(pid $old\)\.$/m, 5), 'AH00487';
    ok wait_until { my $p = $s->served_by; $p && $p != $old } 5;
    ok $s->running, 'the server lives';
    is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 10), 10, 'and serves';
    $s->ends_well;
};

subtest 'of an older generation, after the reload' => sub {
    my $s = server();
    my ($old) = $s->children;
    my $conn = fatal_soon($s);
    ok $s->graceful, 'graceful restart';
    $conn->send("alhost\r\n\r\n");
    ok $conn->eof_within(5), 'a child that is finishing fails';
    ok $s->log_like(qr/:warn\] .*AH00487: Ignoring fatal error in child of previous generation \(pid $old\)\.$/m, 5), 'AH00487';
    my @holds = $s->holds(8);
    is scalar(@holds), 8, 'the server serves, up to MaxRequestWorkers';
    is scalar($s->release(@holds)), 8, 'all are answered';
    unlike $s->error_log, qr/AH02324/, 'nothing is taken for a lasting fault';
    $s->ends_well;
};

subtest 'of the current generation' => sub {
    my $s = server(StartServers => 2);
    my @children = $s->children;
    is $s->get("/probe/exit?code=$FATAL")->{status}, 0, 'a child fails';
    is $s->wait_exit(10), 0, 'the server ends';
    like $s->error_log, qr/:alert\] .*AH00050: Child \d+ returned a Fatal error\.\.\. Apache is exiting!$/m, 'AH00050';
    unlike $s->error_log, qr/AH00487|AH00491|exit signal/, 'and nothing else';
    ok -e $s->pid_file, 'its pid file stays';
    ok wait_until { !$s->members } 2;
    is_deeply [ $s->members ], [], 'nothing is left';
};

done_testing;
