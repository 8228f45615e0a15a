# Children over their lives: how many there are, what ends them, what replaces them, and what the log says of it.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Server qw(wait_until httpd_binary);

my %mpm = (ServerLimit => 8, ThreadLimit => 8, ThreadsPerChild => 2, MaxRequestWorkers => 8, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

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
    my @gone = gone_pids($s);    # first: what these have served has been logged
    my $n = served($s);
    is_deeply [ map { $n->{$_} } @gone ], [ (5) x @gone ], 'each child ends after exactly 5';
    ok wait_until { $s->children } 5;
    my $keep = $s->open_conn;
    my @status;
    for (1 .. 12) { $keep->request('/?keep'); push @status, $keep->response->{status} }
    is_deeply \@status, [ (200) x 12 ], 'requests on one connection count as one';
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
        push @batches, 0 if !defined $last || $at - $last > 0.95;
        $batches[-1]++;
        $last = $at;
    }
    # 1 at the start; then as many more as there are idle ones too few, twice as many each second.
    is_deeply \@batches, [ 1, 1, 2, 4, 8, 4 ], 'children started each second' or diag "@batches";
    like $s->error_log, qr/:info\] .*AH00486: server seems busy, \(you may need to increase StartServers, ThreadsPerChild or Min\/MaxSpareThreads\), spawning 8 children, there are around \d+ idle threads, 8 active children, and 0 children that are shutting down$/m,
        'AH00486, with the right numbers';
    $s->ends_well;
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

done_testing;
