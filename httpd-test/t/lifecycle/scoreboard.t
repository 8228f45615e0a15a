# What mod_status shows is what there is: processes, workers, connections; while it lasts, and no longer.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time sleep);
use MPMTest::Server qw(wait_until);

my %mpm = (ServerLimit => 4, ThreadLimit => 16, ThreadsPerChild => 8, MaxRequestWorkers => 16, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server {
    my (%o) = @_;
    return MPMTest::Server->new(backend => 1, %o, conf => "KeepAliveTimeout 60\nEnableSendfile On\n", mpm => { %mpm, %{ $o{mpm} || {} } });
}

# Waits until server-status?auto says all of that; is() for each.
sub status_is {
    my ($s, $seconds, $name, %want) = @_;
    my $got = {};
    wait_until { $got = $s->status; !grep { ($got->{$_} // '') ne $want{$_} } keys %want } $seconds, 0.05;
    return is_deeply { map { $_ => $got->{$_} } keys %want }, \%want, $name;
}

# All connections; the one that asks may be counted or not.
sub total_is {
    my ($s, $n) = @_;
    my $total = '';
    wait_until { $total = $s->status->{ConnsTotal} // ''; $total =~ /^(?:$n|@{[ $n + 1 ]})$/ } 3, 0.05;
    return like $total, qr/^(?:$n|@{[ $n + 1 ]})$/, "$n connections in all";
}

# The sum of a column over all processes.
sub column {
    my ($s, $name) = @_;
    my $n = 0;
    $n += $_->{$name} for $s->processes;
    return $n;
}

subtest 'busy and idle workers' => sub {
    my $s = server;
    ok($s->start, 'started') or return;
    status_is($s, 5, 'idle: only the request for the status is busy', BusyWorkers => 1, IdleWorkers => 7, Processes => 1,
        Stopping => 0);
    my @holds;
    for my $n (1 .. 6) {
        push @holds, $s->hold || return fail 'no request at the backend';
        status_is($s, 2, "$n busy", BusyWorkers => $n + 1, IdleWorkers => 7 - $n);
        ok wait_until { $n + 1 == (() = $s->status->{Scoreboard} =~ /W/g) } 2;
    }
    my ($child) = $s->children;
    my $page = $s->get('/server-status')->{body};
    my @rows = grep {m{<td nowrap>GET /hold/ HTTP/1\.1</td>}} split m{</tr>}, $page;
    is scalar(@rows), 6, 'the page names the six requests';
    is scalar(grep {m{<b>0-0</b></td><td>$child</td><td>1/1/1</td>|<b>0-0</b></td><td>$child</td><td>\d+/\d+/\d+</td><td><b>W</b>}} @rows), 6,
        'with slot, generation, pid and state';
    is scalar(grep {m{<td>127\.0\.0\.1</td><td>http/1\.1</td>}} @rows), 6, 'and client';
    is scalar($s->release(@holds)), 6, 'answered';
    $_->{conn}->close for @holds;
    status_is($s, 5, 'idle again', BusyWorkers => 1, IdleWorkers => 7);
    total_is($s, 0);
    ok wait_until(sub { $s->status->{Scoreboard} =~ /^(?=.{7}_|_)[_W]{8}\.*$/ }, 2), 'also in the scoreboard'    # none still closes
        or diag $s->status->{Scoreboard};
    ok wait_until { 1 == (() = $s->status->{Scoreboard} =~ /W/g) } 2;
    $s->at_rest;    # what has been asked so far has been counted, too
    my $before = $s->status->{'Total Accesses'};
    $s->get('/') for 1 .. 10;
    # A request is counted when it is logged, which may be after its answer has arrived; each look is one as well.
    my $looks = 0;
    ok wait_until(sub { $looks++; $s->status->{'Total Accesses'} - $before == 10 + $looks }, 2), 'accesses are counted';
};

subtest 'the table of processes' => sub {
    my $s = server(mpm => { ThreadsPerChild => 4, StartServers => 2, MaxRequestWorkers => 8 });
    ok($s->start, 'started') or return;
    my $page = $s->get('/server-status')->{body};
    like $page, qr{<th rowspan="2">Slot</th>.*PID.*Stopping.*Connections.*Threads.*Async connections.*total.*accepting.*busy.*graceful.*idle.*writing.*keep-alive.*closing}s,
        'with its columns: this is an asynchronous MPM';
    my @rows;
    my $threads = sub { @rows = $s->processes; my $n = 0; $n += $_->{busy} + $_->{idle} for @rows; return $n };
    ok wait_until(sub { $threads->() == 8 }, 5), 'with their threads';
    is_deeply [ sort { $a <=> $b } map { $_->{pid} } @rows ], [ $s->children ], 'a line for each child';
    is_deeply [ map { $_->{slot} } @rows ], [ 0, 1 ], 'in slots 0 and 1';
    is scalar(grep { $_->{stopping} eq 'no' && $_->{accepting} eq 'yes' } @rows), 2, 'not stopping, but accepting';

    my $hold = $s->hold;
    my %old = map { $_ => 1 } $s->children;
    ok $s->graceful, 'graceful restart';
    my ($finishing, @other);
    ok wait_until {
        ($finishing, @other) = grep { $old{ $_->{pid} } } $s->processes;
        $finishing && !@other && $finishing->{stopping} =~ /^yes/ && $finishing->{connections} == 1
    } 5;
    is scalar(@other), 0, 'one old process is left' or return;
    is $finishing->{stopping}, 'yes (old gen)', 'Stopping: yes (old gen)';
    is $finishing->{accepting}, 'no', 'accepting: no';
    is $finishing->{connections}, 1, 'connections: 1';
    is_deeply [ map { $finishing->{$_} } qw(busy graceful idle) ], [ 0, 0, 0 ], 'its threads do not count';
    my $board = sub { substr $s->status->{Scoreboard} // '', 4 * $finishing->{slot}, 4 };
    ok wait_until { $board->() =~ /^(?=.*\.)(?=.*G)[.G]{4}$/ } 5;
    like $board->(), qr/^(?=.*\.)(?=.*G)[.G]{4}$/, 'its scoreboard: G for what is finishing, nothing for what has ended';
    status_is($s, 5, 'the sums', Stopping => 1);
    my @new = grep { !$old{ $_->{pid} } } $s->processes;
    is scalar(grep { $_->{stopping} eq 'no' && !$_->{old_gen} && $_->{accepting} eq 'yes' } @new), scalar(@new),
        'the new ones: no, and accepting';
    is scalar($s->release($hold)), 1, 'answered';
    $hold->{conn}->close;
    ok wait_until { !grep { $_->{old_gen} } $s->processes } 10;
    status_is($s, 5, 'no trace is left', Stopping => 0);
    total_is($s, 0);
    unlike $s->status->{Scoreboard}, qr/G/, 'nor in the scoreboard';
};

subtest 'asynchronous connections' => sub {
    my $s = server;
    ok($s->start, 'started') or return;
    $s->write_file('htdocs/big', 'x' x 30_000_000);
    my @idle = map { $s->open_conn } 1 .. 5;
    $_->request('/') for @idle;
    is scalar(grep { $_->response->{status} == 200 } @idle), 5, 'five connections are kept alive';
    ok wait_until { column($s, 'keep_alive') == 5 } 2;
    is column($s, 'keep_alive'), 5, 'shown within two seconds';
    total_is($s, 5);
    status_is($s, 2, 'and in the sums', ConnsAsyncKeepAlive => 5, ConnsAsyncWriting => 0, ConnsAsyncClosing => 0);
    my @slow = map { $s->open_conn } 1 .. 3;
    $_->request('/big') for @slow;
    status_is($s, 3, 'three clients that do not read', ConnsAsyncWriting => 3, ConnsAsyncKeepAlive => 5, BusyWorkers => 1);
    my @closing = map { $s->open_conn } 1 .. 2;
    $_->request('/', headers => { Connection => 'close' }) for @closing;
    is scalar(grep { $_->response->{status} == 200 } @closing), 2, 'two clients that do not close';
    status_is($s, 2, 'are shown as closing', ConnsAsyncClosing => 2);
    $_->close for @closing, @slow;
    status_is($s, 3, 'gone', ConnsAsyncWriting => 0, ConnsAsyncClosing => 0);
    $_->close for @idle;
    status_is($s, 3, 'all gone', ConnsAsyncKeepAlive => 0);
    total_is($s, 0);
};

subtest 'everything back to zero after load' => sub {
    my $s = server(mpm => { ThreadsPerChild => 4, StartServers => 2 });
    ok($s->start, 'started') or return;
    my $load = MPMTest::Load->new($s, [ map { { keepalive => $_ % 2, think => 0.001 } } 1 .. 8 ]);
    ok wait_until { ($s->status->{'Total Accesses'} // 0) > 1500 } 15, 0.1;
    my $count = $load->finish;
    is $count->{$_}, 0, "$_: none" for qw(refused bad late died);
    # The request that asks is the one connection.
    my @queues = map {"ConnsAsync$_"} qw(WaitIO Writing KeepAlive Closing);
    my $st;
    ok wait_until {
        $st = $s->status;
        $st->{BusyWorkers} == 1 && $st->{ConnsTotal} <= 1 && !grep { $st->{$_} } @queues
    } 5;
    is $st->{BusyWorkers}, 1, 'one worker is busy';
    cmp_ok $st->{ConnsTotal}, '<=', 1, 'one connection at most';
    is_deeply [ grep { $st->{$_} } @queues ], [],
        'nothing in the queues';
};

subtest 'fewer threads after a reload' => sub {
    my $s = server;
    ok($s->start, 'started') or return;
    my @holds = $s->holds(8);
    my %old = map { $_ => 1 } $s->children;
    $s->configure(mpm => { ThreadsPerChild => 3, MaxRequestWorkers => 12 });
    ok $s->graceful, 'graceful restart';
    # They are told to finish when the new ones accept.
    ok wait_until(sub { $s->status->{Scoreboard} =~ /G/ }, 5), 'old children are still busy';
    kill KILL => grep { $old{$_} } $s->children;
    ok wait_until { !grep { $_->{old_gen} } $s->processes } 5;
    my $board = '';
    wait_until { $board = $s->status->{Scoreboard} // ''; $board !~ /G/ && $board =~ /_/ } 3;
    like $board, qr/^[^G]*_[^G]*$/, 'when they are killed, none of their threads is left in the scoreboard';
    my $status;
    ok wait_until { # a child may be starting just now
        $status = $s->status;
        $status->{BusyWorkers} + $status->{IdleWorkers} == 3 * $status->{Processes}
    } 5;
    is $status->{BusyWorkers} + $status->{IdleWorkers}, 3 * $status->{Processes}, 'nor among the workers';
    ok $s->graceful(old_gone => 1), 'another one';
    ok wait_until { $s->status->{Scoreboard} !~ /G/ } 3;
    unlike $s->status->{Scoreboard}, qr/G/, 'nor later';
};

subtest 'a hard restart leaves a clean scoreboard' => sub {
    my $s = server(mpm => { ThreadsPerChild => 4, StartServers => 2 });
    ok($s->start, 'started') or return;
    my @idle = map { $s->open_conn } 1 .. 3;
    $_->request('/') for @idle;
    $_->response for @idle;
    ok $s->hard_restart, 'hard restart';
    status_is($s, 5, 'nothing is left', BusyWorkers => 1, IdleWorkers => 7, Stopping => 0, ConnsAsyncKeepAlive => 0,
        ParentServerMPMGeneration => 1);
    is scalar($s->processes), 2, 'two processes';
};

done_testing;
