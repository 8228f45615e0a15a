# AsyncRequestWorkerFactor: a process takes connections while they are fewer than
# ThreadsPerChild + factor * idle workers; once it has stopped, one idle worker's worth fewer.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 120, qw(beyond conns);
use MPMTest::Server;

my $THREADS = 10;

sub server {
    my ($factor) = @_;
    my $s = MPMTest::Server->new(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS,
            AsyncRequestWorkerFactor => $factor },
        conf => "KeepAliveTimeout 60\nTimeout 60\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

# A connection whose first request is answered within so many seconds, or one that still waits.
sub try {
    my ($s, $seconds) = @_;
    my ($c) = conns($s, 1);
    $c->request('/index.html');
    my $served = $c->response($seconds)->{status} == 200;
    $s->at_rest;    # the worker is idle again
    return ($c, $served);
}

# factor => [where accepting stops, below how many it goes on], all workers idle
my @cases = ([1, 20, 19], [1.9, 29, 27.1], [2, 30, 28], [0.5, 15, 14.5]);

for my $case (@cases) {
    my ($factor, $limit, $resume) = @$case;
    my $known = $factor == int $factor ? sub { $_[0] } : \&beyond;
    my $s = server($factor);
    my (@held, $waiting);
    while (@held < 60) {
        my ($c, $served) = try($s, @held < 12 ? 5 : 2);
        if (!$served) { $waiting = $c; last }
        push @held, $c;
    }
    is scalar @held, $limit, $known->("factor $factor: $limit idle connections and no more");
    next if !$waiting;
    my $left = @held;
    while (@held) {
        (shift @held)->close;
        $left--;
        last if $waiting->response(2)->{status} == 200;
    }
    cmp_ok $left, '<', $resume, $known->("factor $factor: the next is taken below $resume");
    cmp_ok $left + 1, '>=', $resume, $known->('and not before');
    $s->stop;
}

done_testing;
