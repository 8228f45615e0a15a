# A child has ThreadsPerChild workers, one listener and its main thread; requests run on workers alone, and the listener
# waits with the kernel's own interface for events.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 30, qw(conns fields probe_server wait_until);

my $WORKERS = 6;
my $s = probe_server(
    mpm => { StartServers => 2, ServerLimit => 2, ThreadsPerChild => $WORKERS, MaxRequestWorkers => 2 * $WORKERS,
        MaxSpareThreads => 100 },
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my @children;
ok wait_until(sub { (@children = $s->children) == 2 }, 10), 'the parent has started two children';

sub tasks { my ($pid) = @_; return grep { $_ != $pid } map {m{(\d+)$}} glob "/proc/$pid/task/*" }

for my $child (@children) {
    ok wait_until(sub { tasks($child) == $WORKERS + 1 }, 5),
        "besides its main thread a child has $WORKERS workers and a listener"
        or diag join ' ', tasks($child);
}
is scalar tasks($s->pid), 0, 'the parent has one thread';

# As many requests at once as there are workers: each has its own, in a place of its own in the scoreboard.
my @c = conns($s, 2 * $WORKERS);
$_->request('/probe/conn?ms=2500') for @c;
my %by;
for my $f (map { fields($_->response(10)->{body}) } @c) { $by{ $f->{pid} }{ $f->{tid} } = $f->{thread_slot} }
is_deeply [sort { $a <=> $b } keys %by], [@children], 'both children serve';
for my $child (@children) {
    is_deeply [sort { $a <=> $b } values %{ $by{$child} }], [0 .. $WORKERS - 1],
        "$WORKERS requests at a time run on as many threads";
}

# Which thread serves is for each request to be seen anew; it is always one of those.
my %other;
for my $round (1 .. 20) {
    for my $c (@c) {
        $c->request('/probe/conn');
        my $f = fields($c->response(5)->{body});
        $other{ $f->{tid} }++ if !exists $by{ $f->{pid} }{ $f->{tid} };
    }
}
is_deeply \%other, {}, 'no request runs on any other thread';

SKIP: {
    skip 'epoll is Linux\'s', 1 if $^O ne 'linux';
    my @polls = grep { (readlink // '') eq 'anon_inode:[eventpoll]' } map { glob "/proc/$_/fd/*" } @children;
    cmp_ok scalar @polls, '>=', 2, 'each child waits with epoll';
}
$s->stop;
undef $s;

done_testing;
