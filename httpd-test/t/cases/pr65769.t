# PR 65769: a flood of connections met by a child without idle workers stopped its accepting for good.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 90, qw(conns wait_until);

my $THREADS = 8;
my $FLOOD   = 200;

my $s = MPMTest::Server->new(
    backend => 1,
    mpm     => { ServerLimit => 1, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS, StartServers => 1 },
    conf    => "KeepAliveTimeout 60\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

sub answered {
    my (@flood) = @_;
    my $n = 0;
    my $end = time + 15;
    for my $conn (@flood) {
        my $left = $end - time;
        $n++ if $conn->response($left > 0 ? $left : 0)->{status} == 200;
        $conn->close;
    }
    return $n;
}

sub flood {
    my @flood = conns($s, $FLOOD);
    $_->request('/', headers => { Connection => 'close' }) for @flood;
    return @flood;
}

for my $round (1 .. 4) {
    my ($child) = $s->children;
    $s->signal('STOP');
    kill KILL => $child;
    ok wait_until { !$s->children } 5;
    my @flood = flood();
    $s->signal('CONT');
    is answered(@flood), $FLOOD, "$round: the flood that waits for a child that starts is answered" or last;
    ok wait_until { ($s->status->{IdleWorkers} // 0) == $THREADS - 1 } 5;
    my ($row) = $s->processes;
    is $row->{accepting}, 'yes', "$round: the child accepts afterwards";
}

my @holds = $s->holds($THREADS);
is scalar(@holds), $THREADS, 'all workers are busy';
my @flood = flood();
ok !(grep { $_->eof_within(0) || length $_->buffered } @flood), 'a flood waits';
is scalar($s->release(shift @holds)), 1, 'one worker gets idle';
is answered(@flood), $FLOOD, 'and serves all of it';
is scalar($s->release(@holds)), $THREADS - 1, 'the others go on';
$s->ends_well;
undef $s;

done_testing;
