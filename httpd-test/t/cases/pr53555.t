# PR 53555: old children with slow requests kept new ones from slots that ServerLimit allows, and kept their keep-alives.

use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(beyond wait_until);

my %mpm = (ServerLimit => 6, ThreadLimit => 8, ThreadsPerChild => 2, MaxRequestWorkers => 8, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server {
    my (%mine) = @_;
    my $s = MPMTest::Server->new(backend => 1, conf => "KeepAliveTimeout 60\n", mpm => { %mpm, %mine });
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

subtest beyond('slots up to ServerLimit') => sub {
    my $s = server();
    my %old = map { $_ => 1 } $s->children;
    my @slow = $s->holds(8);
    is scalar(@slow), 8, 'all workers of four children are busy' or return;
    $s->clear_log_mark;
    # One new child is started by the restart, the other because of the load.
    ok $s->graceful, 'graceful restart';
    my @new = $s->holds(4);
    is scalar(@new), 4, 'two more children serve, ServerLimit is six' or return;
    is scalar($s->children), 6, 'six children';
    my $more = { conn => $s->open_conn };
    $more->{conn}->request('/hold/');
    ok !$s->{backend}->take(3.5), 'no room for a seventh';
    ok $s->log_like(qr/:error\] .*AH03490: scoreboard is full, not at MaxRequestWorkers\.Increase ServerLimit\.$/m, 2), 'AH03490';
    cmp_ok $s->log_count(qr/AH03490/), '<=', 2, beyond('which is not said every second');

    my @r = $s->release(@slow);
    is scalar(grep { $_->{status} == 200 && $_->{complete} } @r), 8, 'the slow ones are finished';
    is scalar(grep { lc($_->{headers}{connection} // '') eq 'close' } @r), 8, 'each announced as its connection\'s last';
    is scalar(grep { $_->{conn}->eof_within(5) } @slow), 8, 'and so it is';
    $_->{conn}->close for @slow;
    $more->{held} = $s->{backend}->take(10);
    ok $more->{held}, 'what waited gets its turn' or return;
    ok wait_until { !grep { $old{$_} } $s->children } 10;
    is scalar(grep { $old{$_} } $s->children), 0, 'the old children are gone';

    @r = $s->release(@new, $more);
    is scalar(grep { $_->{status} == 200 && ($_->{headers}{connection} // '') !~ /close/i } @r), 5,
        'the new children answer, and keep their connections';
    $s->ends_well;
};

subtest 'a finishing child ends its idle connections' => sub {
    my $s = server(ThreadsPerChild => 8);
    my @idle = map { $s->open_conn } 1 .. 3;
    $_->request('/') for @idle;
    is scalar(grep { $_->response->{status} == 200 } @idle), 3, 'three connections are kept alive';
    my $slow = $s->hold;
    my ($pid) = $s->children;
    ok $s->graceful, 'graceful restart';
    is scalar(grep { $_->eof_within(10) } @idle), 3, 'they are closed';
    ok grep({ $_ == $pid } $s->children), 'while their child is still busy';
    is scalar($s->release($slow)), 1, 'with a request that is answered then';
    $slow->{conn}->close;
    ok wait_until { !grep { $_ == $pid } $s->children } 10;
    $s->ends_well;
};

done_testing;
