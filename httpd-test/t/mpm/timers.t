# ap_mpm_register_timed_callback: every timer once, none early, on time also when nothing else happens,
# from any thread and from child_init on.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 120, qw(async beyond conns fields probe_server probe wait_until);

my $LATE_MS = 30;

# One child, and a free slot for its successor.
my %MPM = (StartServers => 1, ServerLimit => 2, ThreadsPerChild => 8, MaxRequestWorkers => 8);
my $s = probe_server(mpm => {%MPM}, probe => 'ProbeThread On');
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# Waits so many seconds; returns by how many microseconds this process itself was woken too late at worst.
sub quiet {
    my ($seconds) = @_;
    my $end = time + $seconds;
    my $worst = 0;
    while ((my $now = time) < $end) {
        sleep 0.005;
        my $late = time - $now - 0.005;
        $worst = $late if $late > $worst;
    }
    return int 1e6 * $worst;
}

# Registers timers; waits the given time without touching the server, then until all have fired or $more s are over.
sub timers {
    my ($query, $seconds, $more) = @_;
    my $batch = probe($s, "timers?$query")->{batch};
    my $own_late = quiet($seconds);
    return { %{ settled($batch, $more // 5) }, own_late_us => $own_late };
}

sub settled {
    my ($batch, $more) = @_;
    my $r;
    wait_until { $r = probe($s, "timers/result?batch=$batch"); ($r->{fired} // 0) == ($r->{n} // -1) } $more, 0.1;
    return $r;
}

# All fired once, none early; the lateness is a test of its own.
sub complete {
    my ($r, $n, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is "$r->{fired} fired, $r->{early} early, $r->{twice} twice", "$n fired, 0 early, 0 twice", $name or diag explain $r;
    return;
}

# The machine may be busy with other things: what it makes late in this process as well is allowed for, and the best
# of five counts.
sub on_time {
    my ($query, $n, $seconds, $name) = @_;
    my ($best, $r);
    for (1 .. 5) {
        $r = timers($query, $seconds);
        my $late = $r->{late_max_us} - 2 * $r->{own_late_us};
        $best = $late if !defined $best || $late < $best;
        last if $r->{fired} == $n && $best <= $LATE_MS * 1000;
    }
    complete($r, $n, $name);
    cmp_ok $best, '<=', $LATE_MS * 1000, beyond("$name: none later than $LATE_MS ms") or diag explain $r;
    return;
}

on_time('n=200&ms=100&spread=1000', 200, 1.3, '200 timers over 1 s, idle server');
on_time('n=1&ms=500',               1,   0.8, 'one timer');
on_time('n=20&ms=50&chain=1',       20,  1.3, '20 timers, each registered by the one before');
on_time('n=50&ms=100&spread=500&from=callback', 50, 0.8, '50 timers that a timer registers');
on_time('n=50&ms=100&spread=500&from=thread',   50, 0.8, '50 timers from a thread that is not the MPM\'s');

complete(timers('n=1&ms=0', 0.2), 1, 'a timer that is due at once');

{
    my ($r, $late);
    for (1 .. 3) {
        $r = timers('n=10000&ms=300&spread=2000', 2.4, 10);
        $late = $r->{late_max_us} - 2 * $r->{own_late_us};
        last if $late < 500_000;
    }
    complete($r, 10_000, '10,000 timers over 2 s');
    cmp_ok $late, '<', 500_000, beyond('none later than half a second');
}

{
    my $batch = probe($s, 'timers?n=10000&ms=200&spread=1000')->{batch};
    my ($good, $requests, $end) = (0, 0, time + 1.5);
    while (time < $end) { $requests++; $good++ if $s->get('/index.html', within => 5)->{status} == 200 }
    is $good, $requests, 'requests are served while 10,000 timers fire';
    complete(settled($batch, 10), 10_000, 'and all of them do');
}

{
    my $r;
    for (1 .. 3) {    # the best of three: a child that stalls wakes the sleeping request before it looks at its timers
        my @before = $s->children;
        my $batch = probe($s, 'timers?n=20&ms=1000&spread=500')->{batch};
        my ($c) = conns($s, 1);
        $c->request("/probe/timers/result?batch=$batch&ms=2500");    # keeps the old child for 2.5 s
        wait_until { async($s)->{busy} >= 2 } 5, 0.1;
        ok $s->graceful, 'a graceful restart while timers are pending and a request is served';
        $r = { fired => 'none', early => 'none', late_max_us => 1e9, %{ fields($c->response(10)->{body}) } };
        $c->close;
        ok wait_until(sub { my %now = map { $_ => 1 } $s->children; !grep { $now{$_} } @before }, 5), 'then it ends';
        last if $r->{fired} eq '20' && $r->{late_max_us} < 500_000;
    }
    is "$r->{fired} fired, $r->{early} early", '20 fired, 0 early', beyond('the finishing child\'s timers still fire');
    cmp_ok $r->{late_max_us}, '<', 500_000, beyond('and in time');
    unlike $s->error_log, qr{exit signal}, 'nothing crashed';
}
$s->stop;

$s = probe_server(mpm => {%MPM}, probe => 'ProbeChildInitTimer 300');
my $up = $s->start(within => 15);
ok $up, beyond('a timer that is registered in child_init: the server is up');
SKIP: {
    skip 'no server', 3 if !$up;
    my $r = settled(0, 5);
    is $r->{rv}, 0, beyond('the registration succeeds');
    complete($r, 1, beyond('it fires'));
    unlike $s->error_log, qr/exit signal/, beyond('no child crashes');
}
$s->stop;
undef $s;

done_testing;
