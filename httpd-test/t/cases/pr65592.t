# PR 65592: a child that ended itself after MaxConnectionsPerChild was taken off the active children twice.

use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(wait_until);

my %mpm = (ServerLimit => 8, ThreadLimit => 2, ThreadsPerChild => 2, MaxRequestWorkers => 8, StartServers => 3,
    MinSpareThreads => 2, MaxSpareThreads => 100);

sub server {
    my (%mine) = @_;
    my $s = MPMTest::Server->new(backend => 1, conf => "KeepAliveTimeout 60\n", mpm => { %mpm, %mine });
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

sub gone { my ($s) = @_; return map { $_->{pid} } grep { $_->{event} eq 'stopped' } $s->child_events }

# By how much the end of each child lowered the number of active ones; only those that ended altogether.
sub falls {
    my ($s) = @_;
    my (%fall, $active);
    for my $e ($s->child_events) {
        $fall{ $e->{pid} } += $active - $e->{active} if $e->{event} ne 'started';
        $active = $e->{active};
    }
    return [ @fall{ gone($s) } ];
}

subtest 'under load' => sub {
    my $s = server(MaxConnectionsPerChild => 50);
    my $load = MPMTest::Load->new($s, [ map { { think => 0.001 * $_ } } 1 .. 5 ], limit => 30);
    ok wait_until { gone($s) >= 12 } 30, 0.1;
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 500, 'requests were answered';
    is $count->{$_}, 0, "$_: none" for qw(lost refused bad partial late died);
    my @gone = gone($s);    # first: what these have served has been logged
    my %served;
    $served{$_}++ for $s->access_log =~ /^(\d+) /mg;
    my %times = map { $served{$_} // 0 => 1 } @gone;
    is_deeply [ keys %times ], [50], 'each child that ended had served exactly 50 connections';
    my $falls = falls($s);
    is_deeply $falls, [ (1) x @$falls ], 'each end lowered the number of active children by one';
    $s->ends_well;
};

# The parent sees these finish before they end, and must not count them again then.
subtest 'with a request under way' => sub {
    my $s = server(MaxConnectionsPerChild => 4, StartServers => 1, MaxRequestWorkers => 4, MinSpareThreads => 1);
    for my $round (1 .. 3) {
        $s->clear_log_mark;
        my $hold = $s->hold or return fail 'no request at the backend';
        $s->get('/') until $s->log_new =~ /Child \d quiescing: pid (\d+)/;
        my $pid = $1;
        is scalar($s->release($hold)), 1, "$round: the request under way is answered";
        $hold->{conn}->close;
        ok $s->log_like(qr/Child \d stopped: pid $pid, .* quiescing 2$/m, 10), "$round: its child was finishing, and ends";
    }
    my $falls = falls($s);
    is_deeply $falls, [ (1) x @$falls ], 'each end lowered the number of active children by one';
    # A count that is too low starts too many children, one that is too high too few.
    my @holds = $s->holds(4);
    is scalar(@holds), 4, 'as many requests at once as MaxRequestWorkers';
    is scalar($s->release(@holds)), 4, 'all are answered';
    $s->ends_well;
};

done_testing;
