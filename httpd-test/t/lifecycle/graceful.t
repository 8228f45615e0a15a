# Graceful restarts: no request lost, nothing leaked, new settings in force, and what happens when the new
# configuration is no good.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Server qw(wait_until);

my %mpm = (ServerLimit => 8, ThreadLimit => 16, ThreadsPerChild => 4, MaxRequestWorkers => 16, StartServers => 2,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server { my (%o) = @_; return MPMTest::Server->new(backend => 1, %o, mpm => { %mpm, %{ $o{mpm} || {} } }) }

subtest 'no request is lost over restarts under load' => sub {
    my $s = server(conf => "KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 30\n");
    ok($s->start, 'started') or return;
    my @clients = map { { keepalive => 1, think => 0.001 * $_ }, { keepalive => 0, think => 0.002 * $_ } } 1 .. 5;
    my $load = MPMTest::Load->new($s, \@clients);
    my $answers = sub { int((-s $s->dir . '/logs/access_log') / length "12345 200 + \"GET / HTTP/1.1\"\n") };
    for my $n (1 .. 12) {
        my $before = $answers->();
        ok $s->graceful, "restart $n" or last;
        wait_until { $answers->() > $before + 300 } 10, 0.05;
    }
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 3000, 'requests were answered';
    is $count->{$_}, 0, "$_: none" for qw(refused bad partial late died);
    is $count->{lost}, 0, 'lost (sent, and answered by the end of the connection): none';
    cmp_ok $count->{slowest}, '<', 5, 'no answer took long';
    $s->ends_well;
};

subtest 'a request on a kept connection of a finishing child is answered' => sub {
    my $s = server(conf => "KeepAliveTimeout 60\n");
    ok($s->start, 'started') or return;
    my @conns = map { $s->open_conn } 1 .. 6;
    $_->request('/') for @conns;
    is scalar(grep { $_->response->{status} == 200 } @conns), 6, 'six connections are kept alive';
    my @old = $s->children;
    $s->clear_log_mark;
    $s->signal('USR1');
    my %kept = map { $_ => 1 } @old;
    ok wait_until { my @p = $s->processes; @p && !grep { $kept{ $_->{pid} } && $_->{stopping} =~ /^no/ } @p } 5, 0.005;
    my @late = @conns[ 0 .. 2 ];
    $_->request('/') for @late;
    for my $conn (@late) {
        my $r = $conn->response;
        is $r->{status}, 200, 'a request sent while the child finishes: answered';
        is lc($r->{headers}{connection} // ''), 'close', 'with Connection: close';
        ok $conn->eof_within(5), 'and the connection ends';
    }
    ok $_->eof_within(10), 'a connection that stays idle is closed' for @conns[ 3 .. 5 ];
    my %old = map { $_ => 1 } @old;
    ok wait_until { !grep { $old{$_} } $s->children } 10;
    is_deeply [ grep { $old{$_} } $s->children ], [], 'long before KeepAliveTimeout the old children are gone';
    $s->ends_well;
};

subtest 'what is under way is finished' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    my $body = join '', map { sprintf "%07d\n", $_ } 1 .. 1_000_000;
    $s->write_file('htdocs/big', $body);
    my $hold = $s->hold or return fail 'no request at the backend';
    my $big = $s->open_conn;
    $big->request('/big');
    ok(IO::Select->new($big->sock)->can_read(5), 'a large answer has begun');
    my $half = $s->open_conn;
    $half->send("GET / HTTP/1.1\r\nHost: loc");
    ok wait_until { grep { $_->{busy} >= 1 } $s->processes } 5;
    my %old = map { $_ => 1 } $s->children;
    ok $s->graceful, 'graceful restart';
    $half->send("alhost\r\nConnection: close\r\n\r\n");
    is $half->response->{status}, 200, 'a request of which one half had been sent is answered';
    my $r = $big->response(30);
    ok $r->{complete} && $r->{body} eq $body, 'a large answer that nobody read so far is whole'
        or diag 'length ' . length $r->{body};
    ok wait_until { grep { $old{$_} } $s->children } 1;
    $hold->{body} = 'z' x 300_000;
    ($r) = $s->release($hold);
    is $r->{body}, 'z' x 300_000, 'a slow answer is whole';
    is lc($r->{headers}{connection} // ''), 'close', 'it ends its connection';
    $_->close for $big, $half, $hold->{conn};
    ok wait_until { !grep { $old{$_} } $s->children } 10;
    is_deeply [ grep { $old{$_} } $s->children ], [], 'and then the old children go';
    $s->ends_well;
};

subtest '20 graceful and 5 hard restarts' => sub {
    my $s = server(mpm => { StartServers => 1 }, conf => "<IfModule mpm_event_module>\nThreadsPerChild 3\n</IfModule>\n"
        . "<IfModule event.c>\nStartServers 2\n</IfModule>\n");
    ok($s->start, 'started') or return;
    my (%rss, %fds);
    for my $n (1 .. 25) {
        my %old = map { $_ => 1 } $s->children;
        my $hard = $n % 5 == 3;
        ok $s->graceful(signal => $hard ? 'HUP' : 'USR1'), "$n: serving after a " . ($hard ? 'hard' : 'graceful') . ' restart'
            or last;
        is $s->status->{ParentServerMPMGeneration}, $n, "generation $n";
        ok wait_until { !grep { $old{$_} } $s->children } 10;
        ($rss{$n}, $fds{$n}) = ($s->rss, $s->fds);
    }
    # A former generation's pipes are kept for a moment: until its last child has ended.
    wait_until { $s->fds <= $fds{5} } 10;
    cmp_ok $s->fds, '<=', $fds{5}, 'the parent has no more open files after 25 restarts than after 5';
    cmp_ok $rss{25} - $rss{5}, '<', 1024, 'and it has grown by less than 1 MB';
    diag "parent's rss after 1, 5, 25 restarts: @rss{1, 5, 25} kB; fds @fds{1, 5, 25}";
    ok wait_until(sub { $s->children == 2 }, 5), '<IfModule event.c> holds to the end: two children';
    my $threads = sub { my $st = $s->status; return ($st->{BusyWorkers} // 0) + ($st->{IdleWorkers} // 0) };
    ok wait_until(sub { $threads->() == 6 }, 5), 'and <IfModule mpm_event_module>: of three threads each';
    $s->ends_well;
};

subtest 'the new configuration is no good' => sub {
    my @cases = (
        ["NoSuchDirective on\n", qr/^AH00526: Syntax error on line \d+ of \S+\/httpd\.conf:\nInvalid command 'NoSuchDirective', perhaps misspelled/m],
        ["Listen 192.0.2.1:80\n", qr/AH00072: make_sock: could not bind to address 192\.0\.2\.1:80\n\[.*:alert\] .*no listening sockets available, shutting down\n.*AH00019: Unable to open logs, exiting/],
        ["ErrorLog /no/such/log\n", qr/AH02291: .*\n.*AH00018: Configuration check failed, exiting/],
    );
    for my $case (@cases) {
        my ($conf, $text) = @$case;
        my $s = server();
        ok($s->start, 'started') or return;
        my $hold = $s->hold or return fail 'no request at the backend';
        $s->clear_log_mark;
        $s->configure(conf => $s->{conf} . $conf);
        $s->signal('USR1');
        is $s->wait_exit(10), 1, "$conf: the server ends with 1";
        like $s->log_new, qr/AH00493: SIGUSR1 received.*$text/s, 'and says why in the error log';
        ok wait_until { $s->members <= 1 } 5;
        is scalar($s->members), 1, 'idle children end, too';
        my ($r) = $s->release($hold);
        is $r->{body}, "done\n", 'a request under way is still answered';
        $hold->{conn}->close;
        ok wait_until { !$s->members } 5;
        is_deeply [ $s->members ], [], 'and then nothing is left';
        unlike $s->error_log, qr/exit signal|AH00060/, 'nobody crashed';
    }
};

subtest 'new settings are in force' => sub {
    my $s = server(mpm => { StartServers => 1 });
    ok($s->start, 'started') or return;
    my $threads = sub { my $st = $s->status; ($st->{BusyWorkers} // 0) + ($st->{IdleWorkers} // 0) };
    ok wait_until { $threads->() == 4 } 5;
    for my $n (8, 16, 4) {
        $s->configure(mpm => { ThreadsPerChild => $n });
        ok $s->graceful(old_gone => 1), "ThreadsPerChild $n";
        ok wait_until { $threads->() == $n } 5;
        is $threads->(), $n, "$n threads";
    }
    $s->configure(conf => $s->{conf} . "KeepAlive Off\nRedirect 410 /gone\n");
    ok $s->graceful(old_gone => 1), 'other changes';
    is $s->get('/gone')->{status}, 410, 'are in force as well';
    $s->ends_well;
};

subtest 'a quiet server answers at once after a graceful restart' => sub {
    my $s = server(mpm => { StartServers => 1 });
    ok($s->start, 'started') or return;
    my @took;
    for (1 .. 3) {
        $s->clear_log_mark;
        $s->signal('USR1');
        ok wait_until { $s->log_new =~ /AH00493.*AH00489/s } 5, 0.005;
        my $begin = time;
        is $s->get('/')->{status}, 200, 'answered';
        push @took, time - $begin;
        ok wait_until { !grep { $_->{old_gen} } $s->processes } 10;
    }
    # The machine may stand still once.
    cmp_ok((sort { $a <=> $b } @took)[1], '<', 0.5, 'the first request after a restart does not wait for the parent to wake up');
};

subtest 'connections are accepted all the time of a reload' => sub {
    my $vhosts = join '', map {"<VirtualHost *:1>\nServerName v$_.test\n<Directory /srv/$_>\nRequire all granted\n</Directory>\n</VirtualHost>\n"} 1 .. 5000;
    my $s = server(conf => $vhosts, loglevel => 'info');
    ok($s->start, 'started') or return;
    my $second_half;
    for (1 .. 3) {    # the client may get no processor for so long
        $s->clear_log_mark;
        $s->signal('USR1');
        my @answered;
        my $stop = time + 20;
        while (time < $stop) {
            my $r = $s->get('/', within => 5);
            push @answered, [ time, $r->{status} ];
            last if $s->log_new =~ /AH00489/;
        }
        is scalar(grep { $_->[1] != 200 } @answered), 0, 'every request is answered';
        my %at = map { /^\[\S+ \S+ +\d+ (\d+):(\d+):(\d+\.\d+) .*(AH0049[34]|AH00489)/ ? ($4 => $1 * 3600 + $2 * 60 + $3) : () }
            split /\n/, $s->log_new;
        my $window = ($at{AH00489} // 0) - ($at{AH00493} // 0);
        cmp_ok $window, '>', 0.02, sprintf 'the parent read the new configuration for %.3f s', $window;
        $second_half = grep {
            my ($sec, $min, $hour) = localtime $_->[0];
            my $t = $hour * 3600 + $min * 60 + $sec + $_->[0] - int $_->[0];
            $t > $at{AH00493} + $window / 2 && $t < $at{AH00489}
        } @answered;
        last if $second_half;
    }
    cmp_ok $second_half, '>', 0, 'and in the second half of that time requests were answered';
};

done_testing;
