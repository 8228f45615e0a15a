# PR 57399: an idle child woke up again and again. Now none of its threads runs, so that none can make a system call.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Test within => 60, qw(wait_until);

my $s = MPMTest::Server->new(
    mpm  => { ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4, StartServers => 1 },
    conf => "KeepAliveTimeout 60\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my ($child) = $s->children;
plan skip_all => 'this kernel does not count how often a thread ran' if !($s->slurp("/proc/$child/schedstat") // '');

# How often each thread of the child was given a processor.
sub runs {
    return join "\n", map { my ($n) = ($s->slurp($_) // '') =~ /^\d+ \d+ (\d+)$/; "$_ $n" } glob "/proc/$child/task/*/schedstat";
}

sub sleeps {
    my ($name) = @_;
    my $last = '';
    wait_until { my $now = runs(); my $same = $now eq $last; $last = $now; $same && $s->at_rest(0) } 5, 0.5;
    sleep 3;
    return is runs(), $last, "$name: no thread ran for 3 s";
}

sleeps('no connection');
my $before = runs();
my $conn = $s->open_conn;
$conn->request('/');
is $conn->response->{status}, 200, 'a request';
isnt runs(), $before, 'makes threads run';
sleeps('a connection kept alive');
$conn->request('/');
is $conn->response->{status}, 200, 'it is still served';
$s->ends_well;
undef $s;

done_testing;
