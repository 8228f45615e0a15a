# The children of a new generation take long to make their threads: the old ones accept until all of those are there.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Load;
use MPMTest::Messages qw(fail_calls faults heal_calls);
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 60, qw(beyond);

plan skip_all => 'no C compiler' unless faults();

my ($THREADS, $MS) = (16, 100);

my $s = MPMTest::Server->new(faults(),
    mpm => { StartServers => 1, ServerLimit => 3, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS,
        MinSpareThreads => 1, MaxSpareThreads => $THREADS });
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
fail_calls(slow_threads => $MS);
my $load = MPMTest::Load->new($s, [ ({ keepalive => 0, think => 0.005 }) x 2 ]);
my ($old) = $s->children;
my $begin = time;
$s->signal('USR1');
ok wait_until(sub { my @p = $s->processes; @p == 1 && $p[0]{pid} != $old && $p[0]{idle} + $p[0]{busy} == $THREADS }, 20), 'a new child';
my $took = time - $begin;
heal_calls();
my $count = $load->finish;
cmp_ok $took, '>', $THREADS * $MS / 1000, 'it took long to make its threads';
is $count->{$_}, 0, "$_: none" for qw(lost bad partial refused late died);
cmp_ok $count->{slowest}, '<', $THREADS * $MS / 2000, beyond(sprintf 'no newcomer has waited for them: %.2f s', $count->{slowest});
$s->ends_well;

done_testing;
