# PR 61979: while the system was short of a resource, connections whose time was over were not closed.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 90, qw(beyond close_times conns data_file fields is_stock narrow_conns probe probe_server wait_until);
use MPMTest::Server qw(httpd_binary);

my ($FILES, $KEPT, $TIMEOUT) = (80, 2, 3);
my ($short, $waitio) = map { MPMTest::Server->free_port } 1, 2;

sub server {
    my (%o) = @_;
    return probe_server(
        mpm  => { StartServers => 1, ServerLimit => 2, ThreadsPerChild => 8, MaxRequestWorkers => 8,
            AsyncRequestWorkerFactor => 100 },
        conf => <<"EOT",
EnableSendfile On
KeepAliveTimeout 60
Timeout 60
<Directory "/">
    AllowOverride None
</Directory>
Listen 127.0.0.1:$short
<VirtualHost 127.0.0.1:$short>
    KeepAliveTimeout $KEPT
    Timeout $TIMEOUT
</VirtualHost>
Listen 127.0.0.1:$waitio
<VirtualHost 127.0.0.1:$waitio>
    ProbeOddState waitio
</VirtualHost>
EOT
        %o,
    );
}

# A program that starts httpd with few file descriptors.
sub limited {
    my ($s) = @_;
    return $s->write_file('httpd.sh', qq{#!/bin/sh\nulimit -n $FILES\nexec "} . httpd_binary() . qq{" "\$@"\n}, 0755);
}

sub served { return scalar grep { $_->request('/probe/bytes?n=10&length=1'); $_->response(3)->{status} == 200 } @_ }

subtest 'no more file descriptors' => sub {
    my $s = server();
    $s->{binary} = limited($s);
    ok($s->start, 'started') or return;
    data_file($s, 'big.bin', 6 << 20);
    my @children = $s->children;

    my @old = conns($s, 20);
    is served(@old), 20, '20 connections';
    my @readers = narrow_conns($s, 3, port => $short);
    $_->request('/big.bin') for @readers;
    my @lingering = conns($s, 3, port => $short);
    $_->request('/probe/close?short=1') for @lingering;
    is scalar(grep { $_->response(3)->{status} } @lingering), 3, '3 that are closing';
    my @idle = conns($s, 5, port => $short);
    my $asked = time;
    is served(@idle), 5, '5 that are kept alive for a short time, and 3 that do not read';
    my $since = time;

    my @flood = conns($s, 3 * $FILES);
    $_->request('/probe/bytes?n=10&length=1') for @flood;
    my $answered = sub { return scalar grep { $_->_fill(time); length $_->buffered } @flood };
    ok wait_until(sub { $answered->() > $FILES / 4 }, 3), "some of @{[scalar @flood]} more are taken";
    ok $s->log_like(qr/Too many open files/, 3), 'then there are no descriptors left';

    my $closed = close_times($since + $KEPT + 5 - time, @idle);
    is scalar(keys %$closed), 5, beyond('the idle ones are closed');
    is_deeply [ grep { $_ < $asked + $KEPT } values %$closed ], [], beyond('not before KeepAliveTimeout');
    ok wait_until(sub { !grep { $_->send('more', 0) } @lingering }, 6), beyond('those that were closing are given up');
    my $counts = {};
    my $writing = sub {
        $old[0]->request('/server-status?auto');
        $counts = fields($old[0]->response(3)->{body});
        return $counts->{ConnsAsyncWriting};
    };
    ok wait_until(sub { !($writing->() // 1) }, 3), beyond('those that do not read are closed after Timeout')
        or diag explain $counts;
    cmp_ok $answered->(), '<', 2 * $FILES, 'all that time others wait for a descriptor';

    is served(@old), 20, beyond('the first 20 are still served');
    is_deeply [$s->children], \@children, beyond('by the same child');
    $_->close for splice @flood, 0, @flood - 30;
    ok wait_until(sub { @flood == $answered->() }, 5), beyond('when some have gone, those that waited are served');
    $_->close for @flood;
    is $s->get('/probe/bytes?n=10&length=1', within => 5)->{status}, 200, beyond('and so are new ones');
    my @lines = grep { !/AH00484|AH10159/ } $s->error_log =~ /^(.*\bmpm_\w+:error\] .*)$/mg;
    cmp_ok scalar @lines, '<=', 5, 'the MPM says it, but not over and over: ' . @lines;
};

subtest 'connections come and go where there are no more descriptors' => sub {
    my $s = server(loglevel => 'warn');
    $s->{binary} = limited($s);
    ok($s->start, 'started') or return;
    my @children = $s->children;
    my ($served, $refused, $rounds) = (0, 0, 10);
    for (1 .. $rounds) {
        my @c = conns($s, 2 * $FILES);
        $_->request('/index.html', headers => { Connection => 'close' }) for @c;
        for (@c) {
            my $status = $_->response(10)->{status} // 0;
            $served++ if $status == 200;
            $refused++ if $status == 403;
            $_->close;
        }
    }
    my $lines = $s->log_count(qr/AH02179/);
    is $served + $refused, 2 * $FILES * $rounds, beyond('all are answered');
    cmp_ok $refused, '<', $served / 10, "nearly all find a descriptor for their file, too: $refused do not, $served do";
    cmp_ok $lines, '>', 0, 'there were no descriptors left';
    cmp_ok $lines, '<=', 5, beyond("which is not said for each connection: $lines lines");
    is_deeply [ $s->children ], \@children, beyond('the child goes on');
};

subtest 'no more memory for events' => sub {
    my $s = server(env => { LD_PRELOAD => $ENV{MPMTEST_PROBE} });
    ok($s->start, 'started') or return;
    data_file($s, 'big.bin', 6 << 20);
    my @children = $s->children;

    my @idle = conns($s, 5, port => $short);
    my $asked = time;
    is served(@idle), 5, '5 that are kept alive for a short time';
    my $since = time;
    my @old = conns($s, 5);
    is served(@old), 5, '5 for long';
    my ($line) = conns($s, 1, port => $waitio);
    $line->send("one\n");
    ok wait_until(sub { $line->_fill(time); $line->buffered eq "echo one\n" }, 3), 'and one in wait-I/O';
    my ($reader) = narrow_conns($s, 1);
    my ($linger) = conns($s, 1);

    $s->clear_log_mark;
    my ($asks) = conns($s, 1);
    $asks->request('/probe/kernel?shortage=6000', headers => { Connection => 'close' });
    like $asks->response(3)->{body}, qr/^as you say/, 'nothing can be added to the pollset any more';
    my $over = time + 6;
    is served(@old), 5, beyond('requests on connections that exist are answered');
    # An event that comes while a request is served takes its connection out of the pollset, and that can't be added again.
    $s->at_rest;
    my $lost = $s->log_count(qr/AH03093/);
    cmp_ok $lost, '<', 5, beyond('and these are kept') if !is_stock();
    is served(@old), 5 - $lost, beyond("but for those that it says, $lost") if !is_stock();
    my @late = conns($s, 5);
    is served(@late), 5, 'so are those on new ones';
    is scalar(grep { $_->eof_within(3) } @late), 5, 'which cannot be kept';
    my ($late_line) = conns($s, 1, port => $waitio);
    $late_line->send("two\n");
    ok $late_line->eof_within(3), 'nor can one in wait-I/O';
    is $late_line->buffered, "echo two\n", 'which has got its answer';
    $reader->request('/big.bin');
    $linger->request('/probe/close');
    ok $linger->eof_within(3), 'nor a lingering close';
    my %said = (10503 => 'process_socket: apr_pollset_add failure in CONN_STATE_ASYNC_WAITIO',
        '03093' => 'process_socket: apr_pollset_add failure for keep alive',
        '03465' => 'process_socket: apr_pollset_add failure in CONN_STATE_WRITE_COMPLETION',
        '03092' => 'process_lingering_close: apr_pollset_add failure');
    ok $s->log_like(qr/:error\] .*\(12\)Cannot allocate memory: AH$_: \Q$said{$_}\E$/m, 3), beyond("AH$_") for sort keys %said;
    my $closed = close_times($since + $KEPT + 3 - time, @idle);
    is scalar(keys %$closed), 5, beyond('the idle ones are closed');
    is_deeply [ grep { $_ < $asked + $KEPT } values %$closed ], [], beyond('not before KeepAliveTimeout');

    sleep 0.05 while time < $over;    # then the shortage is over
    my @new = conns($s, 5);
    is served(@new), 5, 'it passes';
    is served(@new), 5, 'connections are kept again';
    is_deeply [$s->children], \@children, beyond('by the same child');
    $_->close for @new, @idle, @old, @late, $reader, $linger, $line, $late_line, $asks;
    ok wait_until(sub { my $n = probe($s, 'counters'); $n->{closed} == $n->{pre_connection} - 1 }, 5),
        'no connection is left over' or diag explain probe($s, 'counters');

    my ($slow) = conns($s, 1);
    $slow->request('/probe/sleep?ms=1000');
    like $s->get('/probe/kernel?waits=1')->{body}, qr/^as you say/, 'once events cannot be waited for';
    ok $s->log_like(qr/:crit\] .*apr_pollset_poll failed\.  Attempting to shutdown process gracefully$/m, 3), 'the child finishes';
    is $slow->response(5)->{status}, 200, 'what is under way is finished';
    ok wait_until(sub { my %now = map { $_ => 1 } $s->children; %now && !grep { $now{$_} } @children }, 10),
        'another child takes over';
    is $s->get('/index.html')->{status}, 200, 'and serves';
    $s->ends_well;
};

done_testing;
