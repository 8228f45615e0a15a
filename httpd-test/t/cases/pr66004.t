# PR 66004: each SIGHUP made the parent miscount its active and total children, until it started none any more.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Test within => 90, qw(wait_until);

my $s = MPMTest::Server->new(
    backend => 1,
    mpm     => { ServerLimit => 6, ThreadsPerChild => 4, MaxRequestWorkers => 16, StartServers => 2, MinSpareThreads => 1,
        MaxSpareThreads => 100 },
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

sub first_counts {
    my @events = grep { $_->{event} eq 'started' } $s->child_events($s->log_new);
    return [ map {"$_->{active}/$_->{active_limit} $_->{total}"} @events[ 0, 1 ] ];
}

sub counted_from_one {
    my ($name) = @_;
    $s->clear_log_mark;
    ok $s->hard_restart, $name;
    return is_deeply first_counts(), [ '1/4 1', '2/4 2' ], 'its children are counted from one';
}

counted_from_one("restart $_") for 1 .. 4;

# Children that have been taken off the active ones already end by the hard restart.
for my $n (1 .. 2) {
    my $hold = $s->hold or BAIL_OUT('no request at the backend');
    $s->clear_log_mark;
    ok $s->graceful, 'graceful restart';
    ok $s->log_like(qr/Child \d quiescing: /, 5), 'a child of the old generation is busy';
    counted_from_one("and then restart $n");
    ok $hold->{conn}->eof_within(1), 'its request is broken off';
}

$s->clear_log_mark;
$s->signal('HUP'), sleep 0.005 for 1 .. 5;
# Several may be one restart to the parent; when it sleeps again, and has said the end of each, none is left to be done.
ok wait_until {
    my $begun = $s->log_count(qr/AH00494/);
    $begun && $begun == $s->log_count(qr/AH00489/) && $s->parent_sleeps
} 10;
ok wait_until { $s->answers } 10;
ok wait_until { $s->children == 2 } 10;
is scalar($s->children), 2, 'five in a row: two children';
$s->{backend}->take(0);    # what was broken off
my @holds = $s->holds(16);
is scalar(@holds), 16, 'children are still spawned, up to MaxRequestWorkers';
is scalar($s->children), 4, 'and not above';
is scalar($s->release(@holds)), 16, 'all are answered';
$s->ends_well;
undef $s;

done_testing;
