# When all workers of a process stay busy and newcomers wait, idle keep-alive connections are closed before their time.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(beyond close_times conns probe_server);
use MPMTest::Load;

my $THREADS = 4;
my $s = probe_server(
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS,
        AsyncRequestWorkerFactor => 20 },
    conf => "KeepAliveTimeout 60\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# Always many more requests than workers, each from a new client, each of so many milliseconds: no worker waits for a client.
for my $ms (1100, 200) {
    my @idle = conns($s, 6);
    for my $c (@idle) { $c->request('/index.html'); $c->response(5) }
    is scalar keys %{ close_times(0.5, @idle) }, 0, scalar(@idle) . ' idle connections, no other ones: they are kept';

    my $load = MPMTest::Load->new($s, [map { { keepalive => 0, path => "/probe/sleep?ms=$ms" } } 1 .. 3 * $THREADS]);
    is scalar keys %{ close_times(15, @idle) }, scalar @idle,
        "requests of $ms ms: they are closed, long before KeepAliveTimeout";
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 5, 'meanwhile newcomers were served';
    is $count->{$_}, 0, "$_: none" for qw(lost bad partial late died);
    is scalar(grep { $_->request('/index.html'); $_->response(5)->{status} == 200 } conns($s, 6)), 6,
        'those that were closed may come again';
}
$s->stop;
undef $s;

# Factor 1: eight connections fill a child whose four workers are idle. What was noted of a busy time before must not count.
$s = probe_server(
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS,
        AsyncRequestWorkerFactor => 1 },
    conf => "KeepAliveTimeout 60\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my $load = MPMTest::Load->new($s, [map { { keepalive => 0, path => '/probe/sleep?ms=200' } } 1 .. $THREADS + 2]);
ok $s->log_like(qr/All workers busy/, 5), 'all workers busy, once';
$load->finish;
my @idle = conns($s, 2 * $THREADS);
for my $c (@idle) { $c->request('/index.html'); $c->response(5) }
my ($next) = conns($s, 1);
$next->request('/index.html');
ok $s->log_like(qr/Too many open connections/, 5), 'full, with all workers idle';
is $next->response(5)->{status}, 200, beyond('one that idles makes room');
my $gone = close_times(0.5, @idle);
is scalar keys %$gone, 1, beyond('and only one');
my @left = @idle[ grep { !exists $gone->{$_} } 0 .. $#idle ];
my ($child) = $s->children;
my $before = $s->ticks($child);
is scalar keys %{ close_times(2.5, @left) }, 0, 'nobody is closed when nobody waits';
cmp_ok $s->ticks($child) - $before, '<', 25, 'and the child sleeps';
$_->request('/probe/sleep?ms=2500') for @left[0 .. $THREADS - 1];
my ($last) = conns($s, 1);
$last->request('/index.html');
is $last->response(15)->{status}, 200, 'workers that got busy only later: idle connections make room for who waits';
$s->stop;
undef $s;

done_testing;
