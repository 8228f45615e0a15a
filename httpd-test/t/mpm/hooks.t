# The hooks that an MPM runs: in which process, in which state, for which generation, how often.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(conns probe probe_server wait_until);

my $s = probe_server(
    mpm => { ServerLimit => 8, StartServers => 2, ThreadsPerChild => 4, MaxRequestWorkers => 8, MinSpareThreads => 4,
        MaxSpareThreads => 8 },
);
ok $s->start, 'start' or BAIL_OUT($s->console_text);
my $parent = $s->pid;

# The events of a name so far, as hashes; with further conditions.
sub events {
    my ($name, %want) = @_;
    my @events = map { { /(\w+)=(\S+)/g } } $s->error_log =~ /probe: (event=\Q$name\E .*)/g;
    return grep { my $e = $_; !grep { $e->{$_} ne $want{$_} } keys %want } @events;
}

my @children;    # those with threads, which they make after child_init
ok wait_until(sub { events('child_init') == 2 && (@children = $s->children) == 2 }, 10), 'child_init in two children';
is_deeply [sort map { $_->{by} } events('child_init', state => 0)], [sort @children], 'in state STARTING, in each child';
is_deeply [map { $_->{euid} } events('child_init')], [($> || $s->uid($children[0])) x 2], 'with privileges dropped';
is scalar events('pre_mpm', by => $parent), 1, 'pre_mpm once, in the parent';
is_deeply [sort map { $_->{pid} } events('child_status', status => 'started', of_gen => 0, by => $parent)],
    [sort @children], 'child_status tells the parent of both';
is_deeply [sort map { $_->{slot} } events('child_status', status => 'started')], [0, 1], 'in slots 0 and 1';

# Kept open, so that each is another one.
my @c = conns($s, 20);
for my $c (@c) { $c->request('/index.html'); $c->response(5) }
my $met = probe($s, 'counters');
cmp_ok $met->{pre_connection}, '>', 1, 'connections have met pre_connection';
is $met->{incomplete}, 0, 'each with c->cs, c->sbh and c->current_thread';
$_->close for @c;

ok $s->graceful(old_gone => 1), 'a graceful restart';
is scalar events('pre_mpm'), 1, 'no pre_mpm again';
ok wait_until(sub { events('child_status', status => 'exited', of_gen => 0) == 2 }, 10),
    'child_status tells of the end of the old ones';
is_deeply [sort map { $_->{by} } events('child_stopping', state => 2, graceful => 1)], [sort @children],
    'child_stopping in each of them: STOPPING, graceful';
ok wait_until(sub { events('end_generation', ended => 0, by => $parent) == 1 }, 10), 'end_generation for generation 0';
ok wait_until(sub { events('child_status', status => 'started', of_gen => 1) >= 2 }, 10), 'two children of generation 1';
my @second = $s->children;

ok wait_until(sub { scalar events('monitor', by => $parent, state => 1) }, 25, 0.2), 'monitor runs, in the parent';

ok $s->hard_restart(old_gone => 1), 'a restart';
ok wait_until(sub { events('pre_mpm') == 2 }, 5), 'pre_mpm again: there is a new scoreboard';
is_deeply [grep { my $pid = $_; !events('child_stopping', by => $pid, state => 2, graceful => 0) } @second], [],
    'child_stopping in each of the old ones, not graceful';

my @last = $s->children;
$s->stop;
is_deeply [grep { my $pid = $_; !events('child_status', pid => $pid, status => 'exited') } @last], [],
    'child_status tells of the last ones when the server stops';
my %count;
$count{"$_->{pid} $_->{status}"}++ for events('child_status');
is_deeply [grep { $count{$_} > 1 } sort keys %count], [], 'each start and each exit is told once';
undef $s;

done_testing;
