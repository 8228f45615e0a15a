# PR 57268, 56639: a thread went on using a connection that it had parked, when another one was already serving it.
use strict;
use warnings;
use IO::Select;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 120, qw(beyond conns fields is_stock probe probe_server wait_until);

my $seed = $ENV{MPMTEST_SEED} || int rand 1_000_000;
srand $seed;
diag "MPMTEST_SEED=$seed";

my $ROUNDS = $ENV{MPMTEST_ROUNDS} || 16_000;
my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8,
        AsyncRequestWorkerFactor => 100 },
    conf => "KeepAliveTimeout 60\nMaxKeepAliveRequests 0\n",
    env  => { LD_PRELOAD => $ENV{MPMTEST_PROBE} },
);
$s->start(within => 60) or BAIL_OUT('the server does not start: ' . $s->console_text);
my ($child) = $s->children;
sub get { my ($query) = @_; return "GET /probe/conn$query HTTP/1.1\r\nHost: localhost\r\n\r\n" }
my $GET = get('');

my ($answers, %wrong) = (0);
sub wrong { my ($what) = @_; return $wrong{$what}++ }

# Takes one answer of the connection, which says who it is: the same connection as ever, and how many requests it has had.
sub take {
    my ($c) = @_;
    my $r = $c->response(20);
    $answers++;
    return wrong("status $r->{status}, " . ($r->{error} // '')) if $r->{status} != 200 || !$r->{complete};
    my $f = fields($r->{body});
    $c->{server_id} //= $f->{id};    # stock numbers connections anew with each request
    wrong("the answer to connection $f->{id} came on $c->{server_id}") if $f->{id} ne $c->{server_id} && !is_stock();
    wrong("number $f->{keepalives} came as $c->{count}") if $f->{keepalives} != $c->{count}++;
    wrong('not in the slot of the thread that serves') 
        if ($f->{slot_tid} // '') ne $f->{tid} || $f->{slot_pid} ne $f->{pid};
    return;
}

# Waits without sleeping, for times as short as those between a worker's last write and its parking.
sub spin { my $end = time + 1e-6 * rand $_[0]; 1 while time < $end; return }

# What the client does when it has its answer; returns how many answers it will get.
my @moves = (
    sub { $_[0]->send($GET); return 1 },                                              # at once
    sub { spin(80); $_[0]->send($GET); return 1 },                                    # while it is being parked
    sub { $_[0]->send($GET x 3); return 3 },                                          # pipelined
    sub { $_[0]->send($GET . substr $GET, 0, 20); spin(80); $_[0]->send(substr $GET, 20); return 2 },   # and a half
    sub { $_[0]->send(substr $GET, 0, 30); spin(80); $_[0]->send(substr $GET, 30); return 1 },
    sub { $_[0]->send($GET); spin(60); $_[0]->send($GET); return 2 },                 # during the answer
);

# Forty connections, of which six have a request under way: there is always an idle worker, so that none is closed.
my $select = IO::Select->new;
my (%at, @resting);
sub add { my ($c) = conns($s, 1); $c->{count} = 0; return $c }
sub next_request {
    my ($c) = @_;
    $at{ fileno $c->sock } = $c;
    $select->add($c->sock);
    return $c->{due} = $moves[ rand @moves ]->($c);
}
push @resting, add() for 1 .. 40;
next_request(shift @resting) for 1 .. 6;
my ($resets, $held_up, $end) = (0, 0, time + 60);
while ($answers < $ROUNDS && time < $end && !%wrong) {
    # In the last third a thread is held up while it parks a connection, and when it has; the next one takes its time.
    if (!$held_up && $answers > $ROUNDS * 2 / 3) {
        $held_up = $s->get('/probe/kernel?delay=50')->{status};
        $GET = get('?ms=1');
    }
    for my $c (map { $at{ fileno $_ } } $select->can_read(20)) {
        take($c) while $c->{due}-- > 0;
        if (rand() < 0.5) { next_request($c); next }
        $select->remove($c->sock);
        push @resting, $c;
        if (rand() < 0.04) {    # gone in the moment in which it is parked, or with a request on its way
            $c->send($GET) if rand() < 0.5;
            $c->reset;
            $resets++;
            $resting[-1] = add();
        }
        next_request(shift @resting);
    }
}
is_deeply \%wrong, {}, "$answers answers on 40 connections and $resets that were reset: each to its own connection, in order";
cmp_ok $answers, '>=', $ROUNDS, 'all in time';
for my $c (map { $at{ fileno $_ } } $select->handles) { take($c) while $c->{due}-- > 0 }
$_->close for @resting, map { $at{ fileno $_ } } $select->handles;
my $n;
ok wait_until(sub { $n = probe($s, 'counters'); $n->{closed} == $n->{pre_connection} - 1 }, 5), 'each connection was closed once'
    or diag explain $n;
is $n->{suspend}, $n->{resume} + 0, beyond('and resumed as often as it was suspended') or diag explain $n;
is_deeply [ $s->children ], [$child], 'by one child';
$s->ends_well;
undef $s;

done_testing;
