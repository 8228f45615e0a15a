# Connections whose time ran out while all workers were busy: a request that came is served like any other, and no close holds up
# another one.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 90, qw(beyond close_times conns probe_server wait_until);

sub server {
    my ($threads, $timeout, %o) = @_;
    my $s = probe_server(
        backend => 1, %o,
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $threads, MaxRequestWorkers => $threads,
            AsyncRequestWorkerFactor => 50 },
        conf => "KeepAliveTimeout $timeout\nTimeout 60\n" . ($o{conf} // ''),
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

# A server with another port, at which each close takes so long; and that port.
sub slow_to_close {
    my ($threads, $timeout, $ms) = @_;
    my $s = server($threads, $timeout);
    my $port = $s->free_port;
    $s->configure(conf => $s->{conf} . "Listen 127.0.0.1:$port\n<VirtualHost 127.0.0.1:$port>\nProbeSlowClose $ms\n</VirtualHost>\n");
    $s->stop;
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return ($s, $port);
}

sub kept {
    my ($s, $n, %o) = @_;
    my @c = conns($s, $n, %o);
    for my $c (@c) { $c->request('/index.html'); $c->response(10) }
    return @c;
}

# Twelve late requests find four workers.
{
    my ($THREADS, $LATE, $MS) = (4, 12, 500);
    my $s = server($THREADS, 3);
    my @late  = kept($s, $LATE);
    my @holds = $s->holds($THREADS);
    is scalar @holds, $THREADS, 'all workers are busy';
    sleep 4;    # KeepAliveTimeout, and some more
    $_->request("/probe/sleep?ms=$MS") for @late;
    my $begin = time;
    is $s->release(@holds), $THREADS, 'they come free';
    is scalar(grep { $_->response(20)->{status} == 200 } @late), $LATE, beyond("$LATE late requests are answered");
    my $took = time - $begin;
    my $all = $LATE * $MS / 1000;
    cmp_ok $took, '<', 0.6 * $all, beyond(sprintf "by all workers: %.2f s of %.2f", $took, $all);
    $s->ends_well;
}

# A slow one doesn't keep others from being closed, nor from being served.
for my $threads (2, 3) {
    my $s = server($threads, 2);
    my ($slow) = kept($s, 1);
    my @holds = $s->holds($threads);
    sleep 3;
    $slow->request('/probe/sleep?ms=9000');
    is $s->release(@holds), $threads, "$threads workers come free";
    my $asked = time;
    my @idle = kept($s, 4);
    my ($late) = kept($s, 1);
    my $closed = close_times(5, @idle);
    is scalar keys %$closed, 4, beyond('others are closed while a late request is served');
    is scalar(grep { $closed->{$_} - $idle[$_]{answered} > 4 } keys %$closed), 0, 'in time';
    is $slow->response(20)->{status}, 200, beyond('the late request is answered');
    $s->stop;
}

# Closes that take long.
{
    my ($SLOW, $THREADS) = (6, 9);
    my ($s, $port) = slow_to_close($THREADS, 2, 6000);
    my @slow = kept($s, $SLOW, port => $port);
    my @idle = kept($s, 4);
    my $closed = close_times(5, @idle);
    is scalar keys %$closed, 4, "others are closed while $SLOW closes take 6 s each";
    is scalar(grep { $closed->{$_} - $idle[$_]{answered} > 4 } keys %$closed), 0, 'in time';
    is scalar keys %{ close_times(12, @slow) }, $SLOW, 'the slow ones as well';
    $s->ends_well;
}

# Many closes, and a worker or two for all: requests are served between them.
for my $threads (1, 2) {
    my ($IDLE, $MS) = (200, 30);
    my ($s, $port) = slow_to_close($threads, 2, $MS);
    my @idle = kept($s, $IDLE, port => $port);
    ok wait_until(sub { $idle[0]->eof_within(0.01) }, 10), "$threads worker(s): the closes begin";
    my $slowest = 0;
    my $asked = 0;
    while (!$idle[-1]->eof_within(0.05) && $asked < 400) {
        my $begin = time;
        $s->get('/index.html', within => 10)->{status} == 200 or last;
        my $took = time - $begin;
        $slowest = $took if $took > $slowest;
        $asked++;
    }
    cmp_ok $asked, '>', 5, "$asked requests meanwhile";
    cmp_ok $slowest, '<', 1, beyond(sprintf "none waits for all of them: %.2f s", $slowest);
    $s->ends_well;
}

done_testing;
