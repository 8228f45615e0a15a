# PR 57435: a parked connection had the same c->id as the one that its former thread served next.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(beyond conns fields probe_server shared);

my $ALIVE = 300;
my $s = probe_server(
    mpm  => { StartServers => 2, ServerLimit => 2, ThreadsPerChild => 4, MaxRequestWorkers => 8, AsyncRequestWorkerFactor => 200 },
    conf => "KeepAliveTimeout 60\nMaxKeepAliveRequests 0\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# Asks each connection for its id: ({ id, pid, ... }, ...).
sub ask {
    my ($path, @c) = @_;
    $_->request($path) for @c;
    return map { fields($_->response(10)->{body}) } @c;
}

# How many have an id that an earlier one of them has; the ids hold for all children.
sub doubles { my %seen; return scalar grep { $seen{ $_->{id} }++ } @_ }

my @c = map { my ($c) = conns($s, 1); $c->{was} = (ask('/probe/conn', $c))[0]; $c } 1 .. $ALIVE;
my @first = map { $_->{was} } @c;
is doubles(@first), 0, beyond("$ALIVE connections alive at once: each has its own c->id");
is scalar(grep { !($_->{cs} && $_->{sbh} && $_->{current_thread}) } @first), 0, 'each has c->cs, c->sbh and c->current_thread';

# Parked connections and new ones, with requests in the workers at the same time; others come and go meanwhile.
my ($changed, $same, $slot) = (0, 0, 0);
for my $round (1 .. 5) {
    $_->close for splice @c, 0, 30;
    my @new = conns($s, 30);
    ask('/probe/conn', $_) for @new;    # nobody waits to be accepted later on: idle connections would give way after a second
    my @now = ask('/probe/conn?ms=2', @c, @new);
    is scalar(grep { defined $_->{id} } @now), @now, "round $round: all are answered" or last;
    for my $i (0 .. $#c) { $changed++ if $now[$i]{id} != $c[$i]{was}{id} || $now[$i]{pid} != $c[$i]{was}{pid} }
    $same += doubles(@now);
    $slot += grep { $_->{child_slot} < 0 || $_->{slot_pid} != $_->{pid} || $_->{slot_tid} != $_->{tid} } @now;
    $new[$_]{was} = $now[ $_ + @c ] for 0 .. $#new;
    push @c, @new;
}
is $same, 0, beyond('the same when some have gone and others have come, five times');
is $changed, 0, beyond('a connection keeps its id from request to request');
is $slot, 0, 'each is served in the worker\'s own slot of the scoreboard';
$_->close for @c;
$s->ends_well;
undef $s;

{
    my @keep = conns(shared(), 4);
    my (%ids, $n);
    for (1 .. 500) {
        $_->request('/index.html') for @keep;
        for my $c (@keep) {
            my $id = $c->response(5)->{headers}{'x-unique-id'} // '';
            $n++ if $id && !$ids{$id}++;
        }
    }
    is $n, 2000, '2,000 requests on 4 connections: 2,000 UNIQUE_IDs';
}

done_testing;
