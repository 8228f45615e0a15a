# How many connections a server takes: the two examples of the documentation, AsyncRequestWorkerFactor's default, and
# what does not count.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 100, qw(async beyond conns fill_up probe_server wait_until);

my %page = (ThreadsPerChild => 10, ServerLimit => 4, AsyncRequestWorkerFactor => 2);

sub server {
    my (%mpm) = @_;
    my $s = probe_server(
        mpm => { MinSpareThreads => 1, MaxSpareThreads => 400, StartServers => $mpm{ServerLimit},
            MaxRequestWorkers => $mpm{ServerLimit} * $mpm{ThreadsPerChild}, %mpm },
        backend => 1, conf => "KeepAliveTimeout 60\nTimeout 60\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

# On a busy machine a worker may be late to go idle, and a process then stops accepting a little early: the best of
# three servers counts. $scene does what comes before and returns how many connections that takes.
sub takes {
    my ($want, $name, $mpm, $scene) = @_;
    my ($best, $room, $s) = (0, 0);
    for (1 .. 3) {
        undef $s;
        $s = server(%$mpm);
        my $before = $scene ? $scene->($s) : 0;
        my ($held, $next, $made_room) = fill_up($s, 2 * $want);
        my $open = @$held + $made_room + $before;
        ($best, $room) = ($open, $made_room) if $open > $best;
        last if $best >= $want;
    }
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $best, $want, $name;
    cmp_ok $room, '<=', $mpm->{ServerLimit}, 'not all of them are closed for the next one';
    return;
}

takes(120, beyond('all workers idle: (2 + 1) * MaxRequestWorkers = 120 connections'), \%page);

my @busy;
takes(72, beyond('4 workers idle in each process on average: (10 + 2 * 4) * 4 = 72 connections'), \%page, sub {
    my ($s) = @_;
    @busy = $s->holds(24);
    return scalar @busy;
});

takes(12, 'AsyncRequestWorkerFactor is 2 when it is not set: 4 + 2 * 4', { ThreadsPerChild => 4, ServerLimit => 1 });

my @closing;
takes(8, 'connections in lingering close do not count: 4 + 1 * 4 others',
    { ThreadsPerChild => 4, ServerLimit => 1, AsyncRequestWorkerFactor => 1 }, sub {
        my ($s) = @_;
        @closing = conns($s, 20);
        for my $c (@closing) {    # the client does not close
            $c->request('/probe/close');
            $c->response(10)->{status} or last;
        }
        ok wait_until(sub { async($s)->{closing} == 20 }, 10), beyond('20 connections are in lingering close');
        return 0;
    });

done_testing;
