# Children over their lives: how many there are, what ends them, what replaces them, and what the log says of it.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time sleep);
use MPMTest::Server qw(wait_until httpd_binary);

my %mpm = (ServerLimit => 8, ThreadLimit => 8, ThreadsPerChild => 2, MaxRequestWorkers => 8, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

my $close = { Connection => 'close' };

sub server {
    my (%o) = @_;
    return MPMTest::Server->new(backend => 1, %o, conf => "KeepAliveTimeout 60\n" . ($o{conf} // ''),
        mpm => { %mpm, %{ $o{mpm} || {} } });
}

# The number of connections that each child has served: pid => number of requests in the access log.
sub served {
    my ($s) = @_;
    my %n;
    $n{$_}++ for $s->access_log =~ /^(\d+) /mg;
    return \%n;
}

sub gone_pids { my ($s) = @_; return map { $_->{pid} } grep { $_->{event} eq 'stopped' } $s->child_events }

subtest 'MaxConnectionsPerChild' => sub {
    my $s = server(conf => "MaxConnectionsPerChild 5\n", mpm => { MaxRequestWorkers => 2 });
    ok($s->start, 'started') or return;
    my $answered = grep { $s->get("/?$_")->{status} == 200 } 1 .. 26;
    is $answered, 26, 'one connection after the other: all are answered';
    ok wait_until { gone_pids($s) >= 5 } 5;
    my $n = served($s);
    is_deeply [ map { $n->{$_} } gone_pids($s) ], [ (5) x gone_pids($s) ], 'each child ends after exactly 5';
    ok wait_until { $s->children } 5;
    my $keep = $s->open_conn;
    my @status;
    for (1 .. 12) { $keep->request('/?keep'); push @status, $keep->response->{status} }
    is_deeply \@status, [ (200) x 12 ], 'requests on one connection count as one';
    $s->ends_well;
};

subtest 'MaxConnectionsPerChild under load' => sub {
    my $s = server(conf => "MaxConnectionsPerChild 50\n", mpm => { StartServers => 3, MinSpareThreads => 2 });
    ok($s->start, 'started') or return;
    $s->get('/');
    my $load = MPMTest::Load->new($s, [ map { { think => 0.001 * $_ } } 1 .. 5 ], limit => 30);
    ok wait_until { gone_pids($s) >= 12 } 30, 0.1;
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 500, 'requests were answered';
    is $count->{$_}, 0, "$_: none" for qw(lost refused bad partial late died);
    my $n = served($s);
    my %times;
    $times{ $n->{$_} // 0 }++ for gone_pids($s);
    is_deeply [ keys %times ], [50], 'each child that ended had served exactly 50 connections';
    # PR 65592: a child that ends itself is taken off the active ones once.
    $s->ends_well;
};

subtest 'messages about children' => sub {
    my $s = server(mpm => { StartServers => 2 });
    ok($s->start, 'started') or return;
    my @pids = $s->children;
    like $s->error_log, qr/^\[.*:debug\] \[pid @{[ $s->pid ]}:tid \d+\] .*Child 1 started: pid $pids[1], gen 0, active 2\/4, total 2\/2\/8$/m,
        'started';
    ok $s->graceful(old_gone => 1), 'graceful restart';
    ok $s->log_like(qr/Child 1 stopped: pid $pids[1], gen 0, active \d\/4, total \d\/\d\/8, quiescing [012]$/m, 5), 'stopped';
    $s->ends_well;
};

subtest 'children that are killed are replaced' => sub {
    my $s = server(mpm => { ServerLimit => 8, MaxRequestWorkers => 12, StartServers => 4, MinSpareThreads => 8 });
    ok($s->start, 'started') or return;
    is scalar($s->children), 4, 'four children';
    $s->clear_log_mark;
    my ($first) = $s->children;
    kill SEGV => $first;
    ok $s->log_like(qr/AH00052: child pid $first exit signal Segmentation fault \(11\)$/m, 5)
        || $s->log_like(qr/AH00051: child pid $first exit signal Segmentation fault \(11\), possible coredump in /m, 0),
        'AH00051 or AH00052';
    ok $s->log_like(qr/Child (\d) stopped: pid $first.*\n(?:.*AH02471.*\n)*.*Child \g{-1} started: /, 0.7), 'replaced at once';
    unlike $s->log_new, qr/AH10392/, 'no alarm';
    # The parent has to be asleep again when they die, so that it finds them all at once.
    ok wait_until { $s->children == 4 } 5;
    $s->clear_log_mark;
    my @three = ($s->children)[ 0 .. 2 ];
    kill SEGV => @three;
    ok $s->log_like(qr/AH10392: children are killed successively!/, 10), 'three at once: AH10392';
    my @story = map { /AH0005[12]/ ? 'killed' : /AH10392/ ? 'alarm' : /Child \d started/ ? 'started' : () } split /\n/, $s->log_new;
    is_deeply [ @story[ 0 .. 5 ] ], [qw(killed started killed started killed alarm)], 'only the first two are replaced at once'
        or diag "@story";
    ok wait_until { $s->children == 4 } 5;
    is scalar($s->children), 4, 'the third follows at the next tick';
    is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 20), 20, 'and all serve';
    $s->ends_well(crashed => 1);
};

# A httpd under other resource limits.
sub limited {
    my ($ulimit, %o) = @_;
    my $s = server(%o);
    $s->{binary} = $s->write_file('httpd.sh', "#!/bin/sh\nulimit $ulimit || exit 99\nexec " . httpd_binary() . qq{ "\$@"\n}, 0755);
    return $s;
}

subtest 'a core file' => sub {
    my $s = limited('-c unlimited');
    mkdir $s->dir . '/cores';
    chmod 0777, $s->dir . '/cores';
    $s->configure(conf => 'CoreDumpDirectory "' . $s->dir . qq{/cores"\n});
    my $started = $s->start;
    plan skip_all => 'no core files here' if !$started && defined $s->exit_status && $s->exit_status == 99;
    ok($started, 'started') or return;
    my ($child) = $s->children;
    kill SEGV => $child;
    ok $s->log_like(qr/AH0005[12]: child pid $child exit signal Segmentation fault \(11\)/, 10), 'a child died';
    my @cores = glob $s->dir . '/cores/*';
SKIP: {
        skip 'the system writes no core file there', 1 unless @cores;
        like $s->log_new, qr/AH00051: child pid $child exit signal Segmentation fault \(11\), possible coredump in \Q@{[ $s->dir ]}\E\/cores$/m,
            'AH00051';
    }
    unlink @cores;
    ok wait_until { $s->children && $s->answers } 5;
    $s->ends_well(crashed => 1);
};

subtest 'PR 65626: after a peak the server shrinks' => sub {
    my $s = server(mpm => { ServerLimit => 6, MaxRequestWorkers => 12, MinSpareThreads => 2, MaxSpareThreads => 5 });
    ok($s->start, 'started') or return;
    for my $round (1, 2) {
        my @holds = $s->holds(12, headers => $close);
        is scalar(@holds), 12, 'as many requests at once as MaxRequestWorkers' or return;
        is scalar($s->children), 6, 'six children';
        is scalar($s->release(@holds)), 12, 'all are answered';
        ok wait_until { $s->children <= 2 } 20, 0.1;
        is scalar($s->children), 2, 'shrinks to MaxSpareThreads: two children';
        ok wait_until { ($s->status->{IdleWorkers} // 0) == 3 } 3;    # the fourth answers
        is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 10), 10, 'and serves';
    }
    $s->ends_well;
};

subtest 'PR 53555: slow requests of old children over a reload' => sub {
    my $s = server(mpm => { ServerLimit => 6, StartServers => 4 });
    ok($s->start, 'started') or return;
    my %old = map { $_ => 1 } $s->children;
    my @slow = $s->holds(8, headers => $close);
    is scalar(@slow), 8, 'all workers of four children are busy' or return;
    $s->clear_log_mark;
    ok $s->graceful, 'graceful restart';
    my @new = $s->holds(4, headers => $close);
    is scalar(@new), 4, 'two more children serve, ServerLimit is six' or return;
    is scalar($s->children), 6, 'six children';
    my $more = { conn => $s->open_conn };
    $more->{conn}->request('/hold/', headers => $close);
    ok !$s->{backend}->take(3.5), 'no room for a seventh';
    ok $s->log_like(qr/:error\] .*AH03490: scoreboard is full, not at MaxRequestWorkers\.Increase ServerLimit\.$/m, 2), 'AH03490';
    cmp_ok $s->log_count(qr/AH03490/), '<=', 2, 'which is not said every second';
    is scalar($s->release(@slow)), 8, 'the slow ones are finished';
    $more->{held} = $s->{backend}->take(10);
    ok $more->{held}, 'and what waited gets its turn' or return;
    ok wait_until { !grep { $old{$_} } $s->children } 10;
    is scalar(grep { $old{$_} } $s->children), 0, 'the old children are gone';
    is scalar($s->release(@new, $more)), 5, 'all are answered';
    $s->ends_well;
};

subtest 'a finishing child ends its idle connections' => sub {
    my $s = server(mpm => { ThreadsPerChild => 8 });
    ok($s->start, 'started') or return;
    my @idle = map { $s->open_conn } 1 .. 3;
    $_->request('/') for @idle;
    $_->response for @idle;
    my $slow = $s->hold(headers => $close);
    my ($pid) = $s->children;
    ok $s->graceful, 'graceful restart';
    ok $_->eof_within(10), 'idle connection closed' for @idle;
    ok grep({ $_ == $pid } $s->children), 'while its child is still busy';
    is scalar($s->release($slow)), 1, 'with a request that is answered then';
    $slow->{conn}->close;
    ok wait_until { !grep { $_ == $pid } $s->children } 10;
    $s->ends_well;
};

subtest 'messages about capacity' => sub {
    my $s = server(mpm => { ThreadsPerChild => 4, MaxRequestWorkers => 4, MinSpareThreads => 3 });
    ok($s->start, 'started') or return;
    my @holds = $s->holds(2);
    ok $s->log_like(qr/:error\] .*AH10159: server is within MinSpareThreads of MaxRequestWorkers, consider raising the MaxRequestWorkers setting$/m, 5),
        'AH10159';
    unlike $s->log_new, qr/AH00484/, 'and not yet AH00484';
    push @holds, $s->holds(2);
    ok $s->log_like(qr/:error\] .*AH00484: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting$/m, 5),
        'AH00484';
    sleep 2.2;    # two more looks of the parent
    is $s->log_count(qr/AH00484/), 1, 'said once';
    is $s->log_count(qr/AH10159/), 1, 'said once';
    is scalar($s->release(@holds)), 4, 'all are answered';
    $s->ends_well;
};

subtest 'growth is exponential, and bounded' => sub {
    my $s = server(mpm => { ServerLimit => 40, ThreadsPerChild => 1, MaxRequestWorkers => 20, MinSpareThreads => 20,
        MaxSpareThreads => 60 });
    ok($s->start, 'started') or return;
    ok wait_until { $s->children >= 20 } 15;
    my (@batches, $last);
    for ($s->error_log =~ /^\[\w+ \w+ +\d+ ([\d:.]+) \d+\] .*Child \d+ started: /mg) {
        my ($h, $m, $sec) = split /:/;
        my $at = ($h * 60 + $m) * 60 + $sec;
        push @batches, 0 if !defined $last || $at - $last > 0.5;
        $batches[-1]++;
        $last = $at;
    }
    # 1 at the start; then as many more as there are idle ones too few, twice as many each second.
    is_deeply \@batches, [ 1, 1, 2, 4, 8, 4 ], 'children started each second' or diag "@batches";
    like $s->error_log, qr/:info\] .*AH00486: server seems busy, \(you may need to increase StartServers, ThreadsPerChild or Min\/MaxSpareThreads\), spawning 8 children, there are around \d+ idle threads, 8 active children, and 0 children that are shutting down$/m,
        'AH00486, with the right numbers';
    # PR 63169
    my %old = map { $_ => 1 } $s->children;
    $s->configure(mpm => { StartServers => 18 });
    ok $s->graceful(old_gone => 1, within => 30), 'graceful restart: every old child stops';
    ok wait_until { $s->children >= 20 } 20;
    is scalar($s->children), 20, 'as many new ones';
    my (%n, @over);
    for my $e ($s->child_events) {
        $n{ $e->{gen} } += { started => 1, quiescing => 0, stopped => -1 }->{ $e->{event} };
        push @over, "$e->{pid}: $n{ $e->{gen} }" if $n{ $e->{gen} } > $e->{active_limit};
    }
    is_deeply \@over, [], 'in no generation more than MaxRequestWorkers asks for';
    $s->ends_well;
};

subtest 'an idle child sleeps' => sub {
    my $s = server;
    ok($s->start, 'started') or return;
    my ($child) = $s->children;
    my $conn = $s->open_conn;
    $conn->request('/');
    is $conn->response->{status}, 200, 'with one connection kept alive';
    my $wakes = sub {
        my $n = 0;
        for my $task (glob "/proc/$child/task/*/status") {
            $n += $1 if ($s->slurp($task) // '') =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
        }
        return $n;
    };
    my $before = -1;
    wait_until { my $n = $wakes->(); my $same = $n == $before; $before = $n; $same } 3, 0.5;
    sleep 3;
    cmp_ok $wakes->() - $before, '<=', 3, 'not woken in 3 s' or diag $wakes->() - $before;
};

subtest 'a child that cannot start its threads' => sub {
    my $s = limited('-v 6000000', mpm => { ThreadsPerChild => 8, MaxRequestWorkers => 8 },
        conf => "ThreadStackSize 1500000000\n");
    $s->start(answer => 0);
    my $exit = $s->wait_exit(20);
    plan skip_all => 'the limit cannot be set' if ($exit // 0) == 99;
    like $s->error_log, qr/AH03104: .*unable to create worker thread|AH00480: /, 'the child says why';
    like $s->error_log, qr/:alert\] .*AH02324: A resource shortage or other unrecoverable failure was encountered before any child process initialized successfully\.\.\. httpd is exiting!$/m,
        'AH02324: no child ever was healthy';
    is $exit, 0, 'the server ends';
    is_deeply [ $s->members ], [], 'nothing is left';
};

subtest 'a child with a fatal error' => sub {
    plan skip_all => 'not root' if $> != 0;
    # A stock httpd in an empty jail cannot even end a thread without this library.
    my $s = server(env => { LD_PRELOAD => 'libgcc_s.so.1' });
    mkdir $s->dir . '/jail';
    $s->configure(conf => 'ChrootDir "' . $s->dir . qq{/jail"\n});
    ok($s->start, 'started') or return;
    rmdir $s->dir . '/jail';
    my ($child) = $s->children;
    kill KILL => $child;
    my $exit = $s->wait_exit(10);
    like $s->error_log, qr/:alert\] .*AH00050: Child \d+ returned a Fatal error\.\.\. Apache is exiting!$/m, 'AH00050';
    is $exit, 0, 'the server ends';
    is_deeply [ $s->members ], [], 'nothing is left';
};

done_testing;
