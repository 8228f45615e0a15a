# Stopping: at once (SIGTERM) and gracefully (SIGWINCH), idle, busy and in the middle of things.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Server qw(wait_until);

my %mpm = (ServerLimit => 4, ThreadLimit => 8, ThreadsPerChild => 4, MaxRequestWorkers => 16, StartServers => 2,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server {
    my (%o) = @_;
    return MPMTest::Server->new(backend => 1, %o, conf => "KeepAliveTimeout 60\n" . ($o{conf} // ''),
        mpm => { %mpm, %{ $o{mpm} || {} } });
}

# Stops the server; it must end with 0 by itself, within the time, and leave nothing behind.
sub stops {
    my ($s, $seconds, %o) = @_;
    my $end = $s->stop(within => 20, grace => 0.5, %o);
    is_deeply [ @$end{qw(exit killed leftover)} ], [ 0, 0, [] ], 'ends with 0, by itself, with no child left';
    cmp_ok $end->{seconds}, '<', $seconds, sprintf 'within %s s (%.2f)', $seconds, $end->{seconds} if $seconds;
    ok !-e $s->pid_file, 'pid file removed';
    unlike $s->error_log, qr/exit signal/, 'nobody crashed';
    unlike $s->error_log, qr/AH0004[567]/, 'and nobody had to be killed' unless $o{forced};
    is_deeply [ $s->child_events_faults(stopped => 1) ], [], 'every child was noted as stopped';
    return $end;
}

subtest 'SIGTERM with idle connections' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    my @silent = map { $s->open_conn } 1 .. 10;    # not even accepted, where accepting is deferred
    my @idle = map { $s->open_conn } 1 .. 10;
    $_->request('/') for @idle;
    is scalar(grep { $_->response->{status} == 200 } @idle), 10, 'ten are kept alive, ten said nothing';
    stops($s, 5);
    my $name = $s->mpm_name;
    like $s->error_log, qr/^\[.*\Q[$name:notice]\E .*AH00491: caught SIGTERM, shutting down$/m, 'AH00491';
    like $s->error_log, qr/AH00491.*\n\z/, 'is the last word';
    ok $_->eof_within(1), 'connection closed' for @idle;
    ok $s->start, 'it can be started again at once, on the same port';
};

subtest 'SIGTERM with half a request' => sub {
    my @parts = ("GET / HTTP/1.1\r\nHost: x\r\n", "POST /hold/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    for my $part (@parts) {
        my $s = server();
        ok($s->start, 'started') or return;
        my $conn = $s->open_conn;
        $conn->send($part);
        # The request for the status is busy as well.
        ok wait_until { busy($s) >= 2 } 5;
        stops($s, 5);
        ok $conn->eof_within(1), 'connection closed';
    }
};

sub busy {
    my ($s) = @_;
    my $n = 0;
    $n += $_->{busy} + $_->{wait_io} for $s->processes;
    return $n;
}

subtest 'SIGTERM with a handler that does not return' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    my @holds = $s->holds(6);
    stops($s, 6, forced => 1);
    ok $_->{conn}->eof_within(1), 'connection closed' for @holds;
};

subtest 'SIGTERM with a client that does not read' => sub {
    my $s = server(conf => "EnableSendfile Off\nEnableMMAP Off\n");
    ok($s->start, 'started') or return;
    $s->write_file('htdocs/big', 'x' x 20_000_000);
    my @conns = map { $s->open_conn } 1 .. 3;
    $_->request('/big') for @conns;
    is scalar(grep { IO::Select->new($_->sock)->can_read(5) } @conns), 3, 'the answers have begun';
    stops($s, 5);
};

subtest 'SIGWINCH finishes what is under way' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    my $idle = $s->open_conn;
    $idle->request('/');
    is $idle->response->{status}, 200, 'one connection is kept alive';
    my $hold = $s->hold or return fail 'no request at the backend';
    $s->signal('WINCH');
    my $name = $s->mpm_name;
    ok $s->log_like(qr/\Q[$name:notice]\E .*AH00492: caught SIGWINCH, shutting down gracefully$/m, 5), 'AH00492';
    ok wait_until { !$s->open_conn } 5;
    ok !$s->open_conn, 'new connections are refused';
    ok $idle->eof_within(10), 'the idle one is closed';
    ok $s->running, 'the server waits for the other';
    ok !-e $s->pid_file, 'pid file removed already';
    $hold->{body} = 'y' x 100_000;
    my ($r) = $s->release($hold);
    is $r->{body}, 'y' x 100_000, 'whose answer is whole';
    is lc($r->{headers}{connection} // ''), 'close', 'and ends its connection';
    $hold->{conn}->close;
    is $s->wait_exit(10), 0, 'then the server ends with 0';
    is_deeply [ $s->members ], [], 'with all its children';
    unlike $s->error_log, qr/AH00491|exit signal/, 'nothing else happened';
};

subtest 'SIGWINCH on an idle server' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    stops($s, 6, signal => 'WINCH');
};

subtest 'GracefulShutdownTimeout' => sub {
    my $s = server(conf => "GracefulShutdownTimeout 2\n");
    ok($s->start, 'started') or return;
    my @holds = $s->holds(2);
    my $end = stops($s, 0, signal => 'WINCH', forced => 1);
    cmp_ok $end->{seconds}, '>=', 1.9, sprintf 'waits for 2 s (%.2f)', $end->{seconds};
    cmp_ok $end->{seconds}, '<',  9,   'and not much longer';
};

subtest 'SIGTERM ends a graceful stop' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    my $hold = $s->hold;
    $s->signal('WINCH');
    ok $s->log_like(qr/AH00492/, 5), 'AH00492';
    ok wait_until { !$s->open_conn } 5;
    my $begin = time;
    $s->signal('TERM');
    is $s->wait_exit(20), 0, 'ends with 0';
    my $took = time - $begin;
    cmp_ok $took, '<', 5, sprintf 'within 5 s (%.2f)', $took;
    is_deeply [ $s->members ], [], 'nothing is left';
};

subtest 'signals to a child are ignored' => sub {
    my $s = server(mpm => { StartServers => 1 });
    ok($s->start, 'started') or return;
    my ($child) = $s->children;
    ok wait_until { ($s->served_by // 0) == $child } 5;
    for my $signal (qw(TERM HUP USR1 WINCH TERM)) {
        kill $signal => $child;
        my $same = grep { ($s->served_by // 0) == $child } 1 .. 5;
        is $same, 5, "SIG$signal: it serves on";
    }
    is_deeply [ $s->children ], [$child], 'the same child all the time';
    my $keep = $s->open_conn;
    $keep->request('/');
    $keep->response;
    kill TERM => $child;
    $keep->request('/');
    is $keep->response->{status}, 200, 'and keeps its connections';
    stops($s, 5);
};

done_testing;
