# Requests that come one at a time, with pauses: each is served with no more switches of threads than its hand-over from a
# listener to a worker takes.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 90, qw(probe probe_server conns);

plan skip_all => 'no /proc to read switches from' unless -e '/proc/self/task';

my $REQUESTS = 60;

# How often the threads of a process have given up their core to wait for something.
sub switches {
    my ($s, $pid) = @_;
    my $sum = 0;
    for my $path (glob "/proc/$pid/task/*/status") {
        my ($n) = ($s->slurp($path) // '') =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
        $sum += $n // 0;
    }
    return $sum;
}

# One client that asks so many times, with a pause after each answer: how many are answered, and switches for each.
sub ask {
    my ($s, $c, $ms) = @_;
    my ($child) = $s->children;
    # The path that does not sleep at all is another one.
    my $path = $ms ? "/probe/sleep?ms=$ms" : '/probe/conn';
    my ($answered, $before) = (0, 0);
    for my $n (1 .. 10 + $REQUESTS) {
        $before = switches($s, $child) if $n == 11;
        $c->request($path);
        $answered++ if $c->response(10)->{status} == 200;
        sleep 0.02;
    }
    return ($answered, (switches($s, $child) - $before) / $REQUESTS);
}

sub server {
    my ($threads) = @_;
    my $s = probe_server(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $threads, MaxRequestWorkers => $threads,
            AsyncRequestWorkerFactor => 1 },
        conf => "KeepAliveTimeout 60\nMaxKeepAliveRequests 0\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

for my $threads (1, 4) {
    my $s = server($threads);
    my ($c) = conns($s, 1);
    for my $ms (0, 1, 5, 15) {
        my ($answered, $each) = ask($s, $c, $ms);
        is $answered, $REQUESTS + 10, "$threads workers, a handler of $ms ms: all are answered";
        # One when the request is found, one when the worker has nothing more to do, and the handler's own.
        cmp_ok $each, '<=', ($ms ? 3 : 2) + 0.25, sprintf '%.2f switches for each request', $each;
    }
    $s->stop;
}

# A child that has as many connections as it may have, however many workers idle, waits for none of them.
{
    my $s = server(1);
    my @c = map { my ($c) = conns($s, 1); $c->request('/index.html'); $c->response(3); $c } 1 .. 3;
    for my $ms (0, 5) {
        my ($answered, $each) = ask($s, $c[-1], $ms);
        is $answered, $REQUESTS + 10, "a full child, a handler of $ms ms: all are answered";
        cmp_ok $each, '<=', ($ms ? 3 : 2) + 0.25, sprintf '%.2f switches for each request', $each;
    }
    $s->stop;
}

# Callbacks that take long say nothing of requests: these wake nobody for one another because of them.
{
    my $s = server(4);
    my ($c) = conns($s, 1);
    my ($child) = $s->children;
    my $each = sub {
        my ($requests, $before) = (1500, switches($s, $child));
        for (1 .. $requests) { $c->request('/probe/conn'); $c->response(10) }
        return (switches($s, $child) - $before) / $requests;
    };
    $each->();
    my $without = $each->();
    is probe($s, 'timers?n=1000&chain=1&ms=5&takes=20')->{rv}, 0, 'a callback that takes 20 ms, again and again';
    my $with = $each->();
    cmp_ok $with - $without, '<', 0.3, sprintf '%.2f switches for each request, without callbacks %.2f', $with, $without;
    $s->stop;
}

done_testing;
