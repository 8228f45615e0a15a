# Of two timers in one microsecond the second was lost; -X did not start; the second of two restarts in a row hung.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Test within => 120, qw(conns probe probe_server wait_until);

my %small = (ServerLimit => 8, ThreadLimit => 8, ThreadsPerChild => 4, MaxRequestWorkers => 16, StartServers => 2,
    MinSpareThreads => 1, MaxSpareThreads => 100);

subtest 'timers in one microsecond' => sub {
    my $s = probe_server(mpm => { %small, StartServers => 1, MaxRequestWorkers => 4 });
    ok($s->start, 'started') or return;
    # Two are registered within a fraction of a microsecond, so of many pairs most are for the same one.
    my @batches = (map({ probe($s, 'timers?n=2&ms=200&align=1')->{batch} } 1 .. 40),
        probe($s, 'timers?n=1000&ms=200&align=1')->{batch});
    my (%sum, $n);
    my $fired = wait_until {
        %sum = ();
        for my $r (map { probe($s, "timers/result?batch=$_") } @batches) { $sum{$_} += $r->{$_} for qw(n fired early twice) }
        $sum{fired} == $sum{n};
    } 5;
    is_deeply \%sum, { n => 1080, fired => 1080, early => 0, twice => 0 }, '40 pairs and 1,000 at once: all fire, once';
    $s->ends_well;
};

subtest 'one process' => sub {
    for my $case (['-X'], ['-DDEBUG'], ['-DONE_PROCESS'], ['-DONE_PROCESS', '-DFOREGROUND']) {
        for my $signal (qw(TERM INT)) {
            my $s = probe_server(mpm => {%small});
            ok($s->start(args => $case), "@$case: serves") or next;
            is $s->slurp('httpd.pid'), $s->pid . "\n", 'it is the process that was started';
            is_deeply [ $s->children(all => 1) ], [], 'without children';
            is $s->served_by, $s->pid, 'and that one answers';
            is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 10), 10, 'again and again';
            my @idle = conns($s, 6);
            for my $round (1, 2) {
                is scalar(grep { $_->request('/'); $_->response->{status} == 200 } @idle), 6, 'more connections than threads';
            }
            my $batch = probe($s, 'timers?n=10&ms=50')->{batch};
            ok wait_until { (probe($s, "timers/result?batch=$batch")->{fired} // 0) == 10 } 5;
            $s->signal($signal);
            is $s->wait_exit(5), 0, "SIG$signal ends it with 0";
            is_deeply [ $s->members ], [], 'completely';
            unlike $s->error_log, qr/:(?:emerg|alert|crit|error)\]/, 'without a complaint';
        }
    }
};

subtest 'restarts in a row' => sub {
    for my $case ([qw(USR1 USR1)], [qw(USR1 HUP)], [qw(HUP USR1)], [qw(HUP HUP)], [ ('USR1') x 6 ]) {
        for my $gap (0, 0.01) {
            my $s = MPMTest::Server->new(mpm => {%small});
            ok($s->start, 'started') or return;
            my %old = map { $_ => 1 } $s->children;
            for my $signal (@$case) { $s->signal($signal); sleep $gap if $gap }
            ok wait_until { my $p = $s->served_by; $p && !$old{$p} } 15;
            ok wait_until { !grep { $old{$_} } $s->children } 15;
            my @now;
            ok wait_until(sub { @now = $s->processes; @now && !grep { $_->{old_gen} } @now }, 15), "@$case, $gap s apart: one generation is left, and it serves";
            $s->ends_well;
        }
    }
    # Two that both count: the second comes when the first has been done.
    my $s = MPMTest::Server->new(mpm => {%small});
    ok($s->start, 'started') or return;
    my $from = $s->status->{ParentServerMPMGeneration};
    for my $signal (qw(USR1 USR1 HUP HUP)) {
        $s->clear_log_mark;
        $s->signal($signal);
        ok $s->log_like(qr/AH0049[34].*AH00489/s, 10), "$signal: the restart is done";
    }
    ok wait_until { ($s->status->{ParentServerMPMGeneration} // -1) == $from + 4 } 10;
    is $s->status->{ParentServerMPMGeneration}, $from + 4, 'four restarts, each by the heels of the one before: four generations';
    $s->ends_well;
};

done_testing;
