# The control process in need: fork fails, or it is gone altogether.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time sleep);
use MPMTest::Server qw(wait_until);

my %mpm = (ServerLimit => 4, ThreadsPerChild => 4, MaxRequestWorkers => 16, StartServers => 2, MinSpareThreads => 1,
    MaxSpareThreads => 100);

sub server {
    my $s = MPMTest::Server->new(mpm => {%mpm}, conf => "KeepAliveTimeout 60\n");
    ok $s->start, 'started' or BAIL_OUT($s->console_text);
    return $s;
}

subtest 'fork fails' => sub {
    # The superuser has no such limit; httpd-test/run is another user, also when root calls it.
    plan skip_all => 'root can always fork: use httpd-test/run' if $> == 0;
    my $s      = server();
    my $parent = $s->pid;
    my @old    = $s->children;
    chomp(my $hard = `prlimit --pid=$parent --nproc --noheadings --raw --output=HARD`);
    is system('prlimit', "--pid=$parent", '--nproc=1:'), 0, 'no new process for the control process';
    kill 'SEGV', @old;
    ok $s->log_like(qr/AH00481: fork: Unable to fork new process/, 5), 'AH00481';
    ok $s->log_like(qr/child pid $_ exit signal Segmentation fault/, 3), "child $_ is reaped all the same" for @old;
    sleep 2.5;    # over two more attempts
    my $said = () = $s->error_log =~ /AH00481/g;
    is $said, 1, 'said once, not at every attempt';
    is system('prlimit', "--pid=$parent", "--nproc=$hard:"), 0, 'the limit is gone';
    my $since = time;
    ok wait_until(sub { $s->answers }, 10), 'it serves again';
    cmp_ok time - $since, '<', 6, 'within 6 s';
    is_deeply [ @{ $s->stop }{qw(exit killed leftover)} ], [ 0, 0, [] ], 'and ends in order';
};

subtest 'the control process is killed' => sub {
    my $s    = server();
    my @old  = $s->children;
    my $slow = $s->open_conn;
    $slow->send("GET / HTTP/1.1\r\nHost: loc");
    my $idle = $s->open_conn;
    $idle->request('/');
    is $idle->response->{status}, 200, 'an idle connection, and a request of which one half is there';
    kill 'KILL', $s->pid;
    $slow->send("alhost\r\n\r\n");
    my $r = $slow->response(5);
    is $r->{status}, 200, 'the request is answered';
    ok $idle->eof_within(5), 'the idle connection is closed';
    $_->close for $slow, $idle;
    my $gone = wait_until { !grep { -e "/proc/$_" } @old } 10;
    ok $gone, 'the children finish and end' or kill 'KILL', @old;
    $s->wait_exit(5);
};

done_testing;
