# AsyncRequestWorkerFactor: a process takes connections while they are fewer than
# ThreadsPerChild + factor * idle workers. Who comes then waits for a moment, and takes the place of the one that has idled longest.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 120, qw(beyond close_times conns fill_up is_stock);
use MPMTest::Server;

my $THREADS = 10;

sub server {
    my ($factor) = @_;
    my $s = MPMTest::Server->new(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS,
            AsyncRequestWorkerFactor => $factor },
        conf => "KeepAliveTimeout 60\nTimeout 60\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

# factor => [where accepting stops, below how many stock goes on], all workers idle
my @cases = ([1, 20, 19], [1.9, 29, 27.1], [2, 30, 28], [0.5, 15, 14.5]);

for my $case (@cases) {
    my ($factor, $limit, $resume) = @$case;
    my $known = $factor == int $factor ? sub { $_[0] } : \&beyond;
    my $s = server($factor);
    my ($held, $next, $made_room) = fill_up($s, 60);
    is @$held + $made_room, $limit, $known->("factor $factor: $limit idle connections and no more");
    is $made_room, 1, beyond('one of them makes room for the next');
    next if !$next;
    if (is_stock()) {
        my $left = @$held;
        while (@$held) {
            (shift @$held)->close;
            $left--;
            last if $next->response(2)->{status} == 200;
        }
        cmp_ok $left, '<', $resume, 'the next is taken one idle worker\'s worth below the limit';
        next;
    }
    (shift @$held)->close;
    my ($last) = conns($s, 1);
    $last->request('/index.html');
    is $last->response(5)->{status}, 200, 'a place that is free is taken';
    is scalar keys %{ close_times(0.5, @$held, $next) }, 0, 'and nobody is closed for that';
    $s->stop;
}

done_testing;
