# PR 56960: a graceful restart while all workers were busy left children that neither served nor ended.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 120, qw(beyond wait_until);

my $close = { Connection => 'close' };

# With room for new children, and without.
for my $limit (8, 2) {
    my $s = MPMTest::Server->new(backend => 1, conf => "KeepAliveTimeout 60\n",
        mpm => { ServerLimit => $limit, ThreadLimit => 16, ThreadsPerChild => 2, MaxRequestWorkers => 4, StartServers => 2,
            MinSpareThreads => 1, MaxSpareThreads => 100, AsyncRequestWorkerFactor => 8 });
    ok $s->start, "ServerLimit $limit: started" or next;
    # Connections of the old children beside those of the busy workers: idle ones, and then ones with a request.
    my @kept = map { $s->open_conn } 1 .. 6;
    is scalar(grep { $_->request('/index.html'); $_->response->{status} == 200 } @kept), 6, 'six connections are kept alive';
    my @holds = $s->holds(4);
    is scalar(@holds), 4, 'every worker is busy' or next;
    my %old = map { $_ => 1 } $s->children;
    $_->request('/?queued') for @kept[ 0 .. 2 ];
    $s->clear_log_mark;
    my $waiting = $s->open_conn;
    $waiting->request('/', headers => $close);
    $s->signal('USR1');
    ok $s->log_like(qr/AH00493.*AH00489/s, 5), 'the parent restarts';
    if ($limit == 8) {
        is $waiting->response(10)->{status}, 200, 'new children serve while the old ones are busy';
        # Once more: nobody is idle in two generations now.
        push @holds, $s->holds(4);
        is scalar(@holds), 8, 'every worker of the new ones is busy' or next;
        $old{$_} = 1 for $s->children;
        ok $s->graceful, 'restarted again';
        is scalar(grep { $old{$_} } $s->children), 4, 'four old children are still at work';
    }
    my $count = @holds;
    is scalar($s->release(@holds)), $count, "the $count answers are whole";
    is scalar(grep { $_->response(10)->{status} == 200 } @kept[ 0 .. 2 ]), 3, beyond('requests that waited for a worker are answered');
    is $waiting->response(10)->{status}, 200, 'and so is one that waited for its connection' if $limit == 2;
    $_->{conn}->close for @holds;
    ok $_->eof_within(10), 'an idle connection is closed' for @kept[ 3 .. 5 ];
    $_->close for @kept;
    ok wait_until(sub { !grep { $old{$_} } $s->children }, 10), 'the old children are gone';
    is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 20), 20, 'and it serves';
    ok wait_until(sub { ($s->status->{BusyWorkers} // 0) == 1 }, 5), 'with idle workers';
    $s->ends_well;
}

# Busy without a break: restarts amid requests that keep every worker occupied.
{
    my $s = MPMTest::Server->new(conf => "KeepAliveTimeout 60\nMaxKeepAliveRequests 0\n",
        mpm => { ServerLimit => 4, ThreadsPerChild => 2, MaxRequestWorkers => 4, StartServers => 2, MinSpareThreads => 1,
            MaxSpareThreads => 100 });
    ok $s->start, 'started';
    my $load = MPMTest::Load->new($s, [ map { { keepalive => $_ % 2 } } 1 .. 12 ]);
    for my $n (1 .. 6) { ok $s->graceful(within => 20), "restart $n while twelve clients never pause" or last }
    my $sum = $load->finish;
    cmp_ok $sum->{ok}, '>', 200, 'they are answered';
    is $sum->{late}, 0, 'none has to wait for ever';
    ok wait_until(sub { !grep { $_->{old_gen} } $s->processes }, 10), 'one generation is left';
    $s->ends_well;
}

done_testing;
