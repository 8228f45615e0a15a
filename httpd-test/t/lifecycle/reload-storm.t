# Reloads that come before the children of the one before are ready: each configuration's children would serve, up to ServerLimit.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 60, qw(probe_server);

my $s = probe_server(probe => 'ProbeChildInitSleep 1500',
    mpm => { StartServers => 2, ServerLimit => 16, ThreadsPerChild => 4, MaxRequestWorkers => 16, MinSpareThreads => 1,
        MaxSpareThreads => 100 });
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
ok wait_until(sub { $s->processes == 2 }, 5), 'two children serve';

my ($most, $failed, $signals) = (0, 0, 0);
my $begin = time;
while (time < $begin + 6) {
    if ($signals < 5 && time > $begin + 0.4 * $signals) { $s->signal('USR1'); $signals++ }
    my @p = $s->processes or $failed++;
    # A child that was told to finish as it started shows for a moment that it accepts.
    my $serving = grep { $_->{stopping} =~ /^no/ && $_->{accepting} eq 'yes' && $_->{idle} + $_->{busy} } @p;
    $most = $serving if $most < $serving;
    sleep 0.02;
}
is $failed, 0, 'somebody served all the time';
cmp_ok $most, '<=', 6, 'children of two generations at most, and those who are about to go' or diag $most;
ok wait_until(sub { my @p = $s->processes; @p == 2 && !grep { $_->{old_gen} } @p }, 15), 'in the end two children serve';
is $s->status->{ParentServerMPMGeneration}, 5, 'of the last configuration';
$s->ends_well;
undef $s;

done_testing;
