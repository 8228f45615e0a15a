# mod_unique_id: UNIQUE_ID differs in all requests, over children, threads, connections kept and new, and restarts.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(conns shared wait_until);
use MPMTest::Restarts qw(over_restarts round);

plan skip_all => 'no mod_unique_id' unless shared()->has_module('unique_id');

my $s = MPMTest::Server->new(
    modules => ['unique_id'],
    mpm  => { StartServers => 3, ServerLimit => 6, ThreadsPerChild => 4, MaxRequestWorkers => 12, MinSpareThreads => 12 },
    conf => qq{MaxKeepAliveRequests 0\nCustomLog "logs/ids" "%{pid}P %{tid}P %{UNIQUE_ID}e"\n},
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

sub check {
    my ($when) = @_;
    my $lines = sub { my $text = $s->slurp('logs/ids'); return $text =~ tr/\n// };
    my $more = $lines->() + ($when eq 'at first' || $when =~ /hard/ ? 0 : 1000);
    my @c = conns($s, 4);
    round('/', @c) for 1 .. 20;
    ok wait_until(sub { $lines->() >= $more }, 10), "requests are logged, $when";
    return;
}

# The children after a restart are new ones, with the same slots, threads' places and connection ids as before.
my $count = over_restarts($s, check => \&check, old_gone => 1,
    clients => [ map { { keepalive => $_ % 2, think => 0.001 } } 1 .. 6 ]);
$s->ends_well;

my @lines = split /\n/, $s->slurp('logs/ids');
my (%ids, %children, %threads);
for (@lines) {
    my ($pid, $tid, $id) = split ' ';
    $ids{$id}++;
    $children{$pid} = $threads{"$pid $tid"} = 1;
}
cmp_ok scalar(@lines), '>', $count->{ok}, 'requests of all sorts: ' . @lines;
is scalar(grep { !/^[\w@-]{24,}$/ } keys %ids), 0, 'each has a UNIQUE_ID';
is scalar(grep { $_ > 1 } values %ids), 0, 'none of them twice';
cmp_ok scalar(keys %children), '>=', 10, 'from many children: ' . keys %children;
cmp_ok scalar(keys %threads), '>=', 30, 'and threads: ' . keys %threads;
undef $s;

done_testing;
