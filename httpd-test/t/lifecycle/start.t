# Starting: in the foreground, detached; listeners; privileges; the directives that shape a start.

use strict;
use warnings;
use Test::More;
use IO::Socket::INET;
use MPMTest::Server qw(wait_until);

my %small = (ServerLimit => 4, ThreadLimit => 8, ThreadsPerChild => 2, MaxRequestWorkers => 8, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server { my (%o) = @_; return MPMTest::Server->new(%o, mpm => { %small, %{ $o{mpm} || {} } }) }

sub ends_well {
    my ($s) = @_;
    my $end = $s->stop;
    return is_deeply [ @$end{qw(exit killed leftover)} ], [ 0, 0, [] ], 'ends with 0, by itself, with no child left';
}

# Lines of /proc/net/tcp* for a listening port.
sub listening {
    my ($port) = @_;
    my $hex = sprintf '%04X', $port;
    my $n = 0;
    for my $file (qw(/proc/net/tcp /proc/net/tcp6)) {
        open my $fh, '<', $file or next;
        $n += grep { /^\s*\d+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A / } <$fh>;
    }
    return $n;
}

subtest 'messages and pid file of a start in the foreground' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    my $log = $s->error_log;
    my ($name, $pid) = ($s->mpm_name, $s->pid);
    like $log, qr/^\[.*\Q[$name:notice]\E \[pid $pid:tid \d+\] AH00489: Apache\S* .*configured -- resuming normal operations$/m,
        'AH00489';
    like $log, qr/^\[.*\Q[$name:info]\E .*AH00490: Server built: \d{4}/m, 'AH00490';
    like $log, qr/^\[.*\[core:notice\] .*AH00094: Command line: '.* -D FOREGROUND'$/m, 'AH00094';
    like $log, qr/AH00489.*AH00490.*AH00094/s, 'in this order';
    is scalar(() = $log =~ /AH00489/g), 1, 'said once';
    is $s->slurp('httpd.pid'), $s->pid . "\n", 'pid file';
    is $s->console_text, '', 'nothing on the console';
    is scalar($s->children), 1, 'StartServers 1: one child';
    like $log, qr/Child 0 started: pid @{[ $s->children ]}, gen 0, active 1\/4, total 1\/1\/4$/m, 'the message of its start';
    ends_well($s);
    ok !-e $s->pid_file, 'pid file removed';
};

subtest 'the defaults' => sub {
    my $s = MPMTest::Server->new(mpm => {});
    ok($s->start, 'started') or return;
    my ($begin) = $s->error_log =~ /^(.*?)AH00489/s;
    is scalar(grep { $_->{event} eq 'started' } $s->child_events($begin)), 3, 'StartServers 3';
    # There is a fourth one if the parent looks while a request has one of the 75 that MinSpareThreads wants to be idle.
    my $board = '';
    ok wait_until(sub { $board = $s->status->{Scoreboard} // ''; $board =~ /^(?:[_W]{25}){3,4}\.+$/ && length $board == 400 }, 5),
        'children of 25 threads; 16 x 25 at most' or diag $board;
    ends_well($s);
};

subtest 'StartServers' => sub {
    my $s = server(mpm => { StartServers => 4, ServerLimit => 8 });
    ok($s->start, 'started') or return;
    my @pids = $s->error_log =~ /Child \d started: pid (\d+), gen 0/g;
    is_deeply [ sort { $a <=> $b } @pids ], [ $s->children ], '4 children at once, the ones in the log';
    is scalar(@pids), 4, 'four';
    $s->configure(mpm => { StartServers => 9 });
    ok $s->graceful(old_gone => 1), 'restarted with more than MaxRequestWorkers allows';
    ok wait_until { $s->children == 4 } 5;
    is scalar($s->children), 4, 'four as before';
};

subtest 'NO_DETACH' => sub {
    my $s = server();
    ok($s->start(args => ['-DNO_DETACH']), 'serves') or return;
    is $s->slurp('httpd.pid'), $s->pid . "\n", 'it is the process that was started';
    is scalar($s->children), 1, 'with a child';
    ok $s->graceful(old_gone => 1), 'graceful restart';
    ends_well($s);
};

subtest 'detached, with httpd -k' => sub {
    my $s = server();
    ok($s->start_detached, '-k start') or return diag $s->{console_start}{out};
    my $pid = $s->pid;
    my ($ppid, $session) = $s->slurp("/proc/$pid/stat") =~ /\) \S (\d+) \d+ (\d+) /;
    isnt $ppid, $$, 'not our child';
    is $session, $pid, 'leads its own session';
    is $s->{console_start}{out}, '', 'nothing on the console';
    my $again = $s->console('-k', 'start');
    like $again->{out}, qr/httpd \(pid $pid\) already running/, 'a second -k start does nothing';
    my %old = map { $_ => 1 } $s->children;
    is $s->console('-k', 'graceful')->{exit}, 0, '-k graceful';
    ok $s->log_like(qr/AH00493: SIGUSR1 received\.  Doing graceful restart/, 5), 'AH00493';
    ok wait_until { my $p = $s->served_by; $p && !$old{$p} } 10;
    is $s->console('-k', 'restart')->{exit}, 0, '-k restart';
    ok $s->log_like(qr/AH00494: SIGHUP received\.  Attempting to restart.*AH00489/s, 10), 'AH00494';
    ok wait_until { $s->answers } 5;
    is $s->slurp('httpd.pid'), "$pid\n", 'the same parent after all';
    is $s->console('-k', 'stop')->{exit}, 0, '-k stop';
    is $s->wait_exit(10), 0, 'and it is gone';
    is_deeply [ $s->members ], [], 'with all its children';
    ok !-e $s->pid_file, 'pid file removed';
    like $s->console('-k', 'stop')->{out}, qr/httpd \(no pid file\) not running/, 'a second -k stop finds nothing';
    ok $s->start_detached, '-k start again';
    is $s->console('-k', 'graceful-stop')->{exit}, 0, '-k graceful-stop';
    is $s->wait_exit(10), 0, 'and it is gone';
};

subtest 'no listening socket' => sub {
    my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0) or die $!;
    my $port = $taken->sockport;
    my $s = server(listen => ["127.0.0.1:$port"]);
    $s->start(answer => 0);
    is $s->wait_exit(10), 1, 'exit 1';
    my $said = $s->console_text;
    like $said, qr/AH00072: make_sock: could not bind to address 127\.0\.0\.1:$port$/m, 'AH00072 names the address';
    like $said, qr/^no listening sockets available, shutting down$/m, 'and the MPM says what it means';
    like $said, qr/AH00015: Unable to open logs/, 'AH00015';
    is_deeply [ $s->members ], [], 'nothing is left';
    my $both = server(listen => [ '127.0.0.1:' . MPMTest::Server->free_port, "127.0.0.1:$port" ]);
    is $both->console->{exit}, 1, 'one of two taken: the same';
};

subtest 'several listeners, also over a restart' => sub {
    my @ports = map { MPMTest::Server->free_port } 1 .. 3;
    my $six = eval { require IO::Socket::IP; IO::Socket::IP->new(Listen => 1, LocalHost => '::1', LocalPort => 0) };
    my @listen = map {"127.0.0.1:$_"} @ports[ 0, 1 ];
    push @listen, "[::1]:$ports[0]" if $six;
    my $s = server(port => $ports[0], listen => [@listen]);
    ok($s->start, 'started') or return;
    is $s->get('/', port => $_)->{status}, 200, "port $_ answers" for @ports[ 0, 1 ];
SKIP: {
        skip 'no IPv6', 1 unless $six;
        my $sock = IO::Socket::IP->new(PeerHost => '::1', PeerPort => $ports[0], Timeout => 5);
        ok $sock, 'connected to [::1]';
        my $conn = MPMTest::Conn->new(socket => $sock);
        $conn->request('/');
        is $conn->response(5)->{status}, 200, 'and it answers';
    }
    $s->configure(listen => [ map {"127.0.0.1:$_"} @ports[ 0, 2 ] ]);
    ok $s->graceful(old_gone => 1), 'another second port after a graceful restart';
    is $s->get('/', port => $_)->{status}, 200, "port $_ answers" for @ports[ 0, 2 ];
    ok !$s->open_conn(port => $ports[1]), 'the former one is closed';
    ends_well($s);
};

subtest 'ListenCoresBucketsRatio' => sub {
    my $cores = POSIX::sysconf(84) || 1;    # _SC_NPROCESSORS_ONLN
    plan skip_all => 'one core, so one bucket' if $cores < 2;
    my $buckets = $cores > 4 ? 2 : $cores;
    my $ratio = int($cores / $buckets);
    $buckets = int($cores / $ratio);
    my $s = server(conf => "ListenCoresBucketsRatio $ratio\n", mpm => { ServerLimit => 8, MaxRequestWorkers => 16 });
    ok($s->start, 'started') or return;
    is listening($s->port), $buckets, "$buckets listening sockets";
    is scalar($s->children), $buckets, 'StartServers is raised to one child for each';
    my %by = map { my $pid = $s->served_by // 'nobody'; $pid => 1 } 1 .. 40;
    is scalar(keys %by), $buckets, 'all of them serve';
    ok !$by{nobody}, 'every request was answered';
    for my $signal (qw(USR1 HUP)) {
        ok $s->graceful(signal => $signal, old_gone => 1), $signal;
        is listening($s->port), $buckets, 'as many sockets as before';
        ok wait_until { $s->children == $buckets } 5;
        is scalar(grep { $s->get('/', within => 5)->{status} == 200 } 1 .. 40), 40, 'every request is answered';
    }
    ends_well($s);
};

subtest 'privileges' => sub {
    plan skip_all => 'not root' if $> != 0;
    my $s = server();
    ok($s->start, 'started') or return;
    my ($user) = $s->conf_text =~ /^User (\S+)/m;
    is $s->uid($s->pid), 0, 'the parent stays root';
    for my $child ($s->children) {
        is $s->uid($child), scalar(getpwnam $user), "the child runs as $user";
        my ($gid) = $s->slurp("/proc/$child/status") =~ /^Gid:\s+(\d+)/m;
        is $gid, (getpwnam $user)[3], 'and in its group';
    }
};

subtest 'files' => sub {
    my $s = server(conf => qq{ScoreBoardFile "run/board"\nPidFile "run/other.pid"\nCoreDumpDirectory "run"\n});
    ok($s->start, 'started') or return;
    # APR makes it a named shared memory segment, or a mapped file.
    my ($board) = $s->slurp('/proc/' . $s->pid . '/maps') =~ m{ rw-s .* (/dev/shm/\S+|\S+/run/board)$}m;
    ok $board && -e $board, 'ScoreBoardFile: the scoreboard has a name';
    is $s->slurp('run/other.pid'), $s->pid . "\n", 'PidFile';
    ok !-e $s->pid_file, 'and no other one';
    ok $s->graceful, 'graceful restart';
    is $s->slurp('run/other.pid'), $s->pid . "\n", 'still the pid file';
    ends_well($s);
    ok !-e $s->dir . '/run/other.pid', 'which goes away at the end';
    ok !$board || !-e $board, 'and so does the scoreboard';
    my $bad = server(conf => qq{CoreDumpDirectory "not/there"\n})->console('-t');
    is $bad->{exit}, 1, 'a CoreDumpDirectory that is not there is refused';
};

# Sizes of the writable anonymous mappings of a process, in KiB.
sub mappings {
    my ($s, $pid) = @_;
    no warnings 'portable';
    return map { /^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0\s*$/ ? (hex($2) - hex $1) / 1024 : () }
        split /\n/, $s->slurp("/proc/$pid/maps");
}

subtest 'ThreadStackSize' => sub {
    my $s = server(conf => "ThreadStackSize 393216\nMaxMemFree 64\n", mpm => { ThreadsPerChild => 8 });
    ok($s->start, 'started') or return;
    ok wait_until { ($s->status->{Scoreboard} // '') =~ /^[_W]{8}/ } 5;
    my @stacks = grep { $_ >= 376 && $_ <= 400 } mappings($s, $s->children);
    cmp_ok scalar(@stacks), '>=', 8, 'the threads have stacks of that size';
    $s->configure(conf => "ThreadStackSize 1\n");
    $s->clear_log_mark;
    ok $s->graceful, 'a useless size does not hinder';
    ok $s->log_like(qr/:warn\] .*AH02436: WARNING: ThreadStackSize of 1 is inappropriate, using default$/m, 5), 'AH02436';
    is $s->get('/')->{status}, 200, 'serves';
};

subtest 'listener options' => sub {
    my $s = server(conf => "ListenBacklog 77\nSendBufferSize 65536\nReceiveBufferSize 65536\n"
            . "MaxMemFree 0\nListenTCPDeferAccept 5\n");
    if ($s->console('-t')->{out} =~ /ListenTCPDeferAccept/) {
        $s->configure(conf => $s->{conf} =~ s/ListenTCPDeferAccept.*\n//r);
    }
    ok($s->start, 'started') or return;
    my $port = $s->port;
    my $ss = `ss -ltn 2>/dev/null` // '';
SKIP: {
        skip 'no ss', 1 unless $ss =~ /:$port\s/;
        like $ss, qr/^LISTEN\s+\d+\s+77\s+127\.0\.0\.1:$port\s/m, 'ListenBacklog 77';
    }
    $s->write_file('htdocs/big', 'x' x 1_000_000);
    is length $s->get('/big')->{body}, 1_000_000, 'a large answer through small buffers';
};

subtest 'EnableExceptionHook' => sub {
    my $s = server(conf => "EnableExceptionHook on\n");
    plan skip_all => 'httpd was built without it' if $s->console('-L')->{out} !~ /^EnableExceptionHook /m;
    ok $s->start, 'accepted';
};

done_testing;
