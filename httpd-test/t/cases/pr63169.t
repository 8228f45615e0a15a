# PR 63169: a graceful restart while children were spawned exponentially exceeded the limits and left old children behind.

use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(wait_until);

my $s = MPMTest::Server->new(
    mpm => { ServerLimit => 40, ThreadLimit => 1, ThreadsPerChild => 1, MaxRequestWorkers => 20, StartServers => 1,
        MinSpareThreads => 20, MaxSpareThreads => 60 },
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# Generations with more children than MaxRequestWorkers asks for, and moments with more than ServerLimit.
sub over {
    my (%n, @over);
    for my $e ($s->child_events) {
        my $gen = $e->{gen};
        $n{$gen} += { started => 1, quiescing => 0, stopped => -1 }->{ $e->{event} };
        push @over, "$e->{pid} of $gen: $n{$gen}" if $n{$gen} > $e->{active_limit};
        push @over, "$e->{pid}: $e->{total} in all" if $e->{total} > $e->{server_limit};
    }
    return @over;
}

# 1, 2, 4, 8, 15: the restart falls into the growth.
my $n;
ok wait_until { ($n = $s->children) >= 8 } 15;
cmp_ok $n, '<', 20, 'the number of children grows';
ok $s->graceful(old_gone => 1, within => 30), 'graceful restart: every old child stops';
ok wait_until { $s->children >= 20 } 30, 0.1;
is scalar($s->children), 20, 'as many new ones as MaxRequestWorkers';

# And from the limit, with nearly all of them started at once.
$s->configure(mpm => { StartServers => 18 });
ok $s->graceful(old_gone => 1, within => 30), 'graceful restart at the limit: every old child stops';
ok wait_until { $s->children >= 20 } 20;
is scalar($s->children), 20, 'as many new ones';
is_deeply [over()], [], 'in no generation more than MaxRequestWorkers asks for, in all no more than ServerLimit';
$s->ends_well;
undef $s;

done_testing;
