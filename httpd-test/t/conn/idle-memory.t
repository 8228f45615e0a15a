# What an idle keep-alive connection costs in memory: nothing of what its requests have used.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(beyond conns is_stock open_files probe_server wait_until);
use MPMTest::Messages qw(stock_mpm);

my $n = 1500;
plan skip_all => 'ulimit -n is too low' if open_files() < $n + 200;

sub server {
    my (%o) = @_;
    my $s = probe_server(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4,
            AsyncRequestWorkerFactor => 1000 },
        conf => "KeepAliveTimeout 80\nTimeout 80\nMaxKeepAliveRequests 0\nEnableMMAP Off\n"
            . "LimitRequestFieldSize 60000\nLimitRequestFields 200\n",
        %o,
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    $s->get('/index.html') for 1 .. 20;
    return $s;
}

# Memory of all its processes in KiB, each shared page counted once.
sub memory {
    my ($s) = @_;
    my $sum = 0;
    $sum += $s->pss($_) // 0 for $s->pid, $s->children;
    return $sum;
}

# One request on each; how many were answered.
sub round {
    my ($path, $headers, @c) = @_;
    my $good = 0;
    for my $c (@c) {
        $c->request($path, headers => $headers);
        $good++ if $c->response(5)->{status} == 200;
    }
    return $good;
}

# How often the threads of a child have given up their processor, or lost it: at least once for each time that one slept.
sub switches {
    my ($pid) = @_;
    my $sum = 0;
    for my $file (glob "/proc/$pid/task/*/status") {
        open my $fh, '<', $file or next;
        for (<$fh>) { $sum += $1 if /^(?:non)?voluntary_ctxt_switches:\s+(\d+)/ }
    }
    return $sum;
}

# KiB for each of $n connections after three requests on it.
sub idle_cost {
    my ($s) = @_;
    my $before = memory($s);
    # A connection that says nothing may wait with the kernel, and there is room for some hundreds.
    my ($good, @c) = 0;
    for (1 .. $n) {
        push @c, conns($s, 1);
        $good += round('/index.html', {}, $c[-1]);
    }
    $good += round('/index.html', {}, @c) for 2 .. 3;
    my $cost = (memory($s) - $before) / $n;
    return ($cost, $good, @c);
}

my $s = server();
my ($cost, $good, @idle) = idle_cost($s);
is $good, 3 * $n, "$n connections, three requests on each";
cmp_ok $cost, '<=', 17, beyond(sprintf 'each takes 17 KiB at most: %.1f', $cost);

SKIP: {
    my @stock = stock_mpm();
    skip 'nothing to compare with', 1 if !@stock || is_stock();
    my $other = server(@stock);
    my ($theirs) = idle_cost($other);
    cmp_ok $cost, '<=', 0.53 * $theirs, sprintf 'about half of what it takes in mpm_event, %.1f KiB', $theirs;
    $other->stop;
}

{
    my ($child) = $s->children;
    my $asleep;
    ok wait_until(sub { my $before = $asleep // -1; ($asleep = switches($child)) == $before && $s->at_rest(0) }, 10, 0.3), 'the child goes to sleep';
    my $before = switches($child);
    select undef, undef, undef, 2;
    is switches($child), $before, 'and no thread of it wakes up in 2 s';
}

# A large request takes some 600 KiB, which the next one finds again.
my %large = map { ("X-$_" => 'x' x 50_000) } 1 .. 6;
my $before = memory($s);
is round('/index.html', \%large, @idle[ 0 .. 99 ]), 100, 'a large request on each of 100 of them';
my $more = (memory($s) - $before) / 100;
cmp_ok $more, '<', 40, beyond(sprintf 'leaves little in each: %.1f KiB', $more);

is round('/index.html', {}, @idle), $n, 'each serves another request';
$cost = (memory($s) - $before) / $n;
cmp_ok $cost, '<', 3, beyond(sprintf 'and takes no more memory than before: %.1f KiB', $cost);

$s->stop;
undef $s;

done_testing;
