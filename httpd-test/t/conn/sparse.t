# Requests that come one at a time, with pauses: each is served with no more switches of threads than its hand-over from a
# listener to a worker takes.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 90, qw(probe_server conns);

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

for my $threads (1, 4) {
    my $s = probe_server(
        mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $threads, MaxRequestWorkers => $threads },
        conf => "KeepAliveTimeout 60\nMaxKeepAliveRequests 0\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    my ($child) = $s->children;
    my ($c) = conns($s, 1);
    for my $ms (0, 1, 5, 15) {
        # The path that does not sleep at all is another one.
        my $path = $ms ? "/probe/sleep?ms=$ms" : '/probe/conn';
        my $answered = 0;
        my $ask = sub {
            my $next = time + 0.02 + $ms / 1000;
            $c->request($path);
            $answered++ if $c->response(10)->{status} == 200;
            my $left = $next - time;
            sleep $left if $left > 0;
        };
        $ask->() for 1 .. 10;
        my $before = switches($s, $child);
        $ask->() for 1 .. $REQUESTS;
        my $each = (switches($s, $child) - $before) / $REQUESTS;
        is $answered, $REQUESTS + 10, "$threads workers, a handler of $ms ms: all are answered";
        # One when the request is found, one when the worker has nothing more to do, and the handler's own.
        my $most = 2 + ($ms ? 1 : 0);
        cmp_ok $each, '<=', $most + 0.25, sprintf '%.2f switches for each request', $each;
    }
    $c->close;
    $s->stop;
}

done_testing;
