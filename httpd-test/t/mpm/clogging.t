# A connection whose input filter clogs cannot be parked: it has a worker to itself until it ends, as under mpm_worker.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(probe_server conns close_times probe wait_until async fields);

my $port = MPMTest::Server->free_port;
my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 6, MaxRequestWorkers => 6,
        AsyncRequestWorkerFactor => 50 },
    conf => <<"EOT",
KeepAliveTimeout 30
Listen 127.0.0.1:$port
<VirtualHost 127.0.0.1:$port>
    KeepAliveTimeout 3
    ProbeOddState clogging
</VirtualHost>
EOT
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

my @c = conns($s, 4, port => $port);
my $good = 0;
my %tids;
for my $round (1 .. 3) {
    for my $i (0 .. $#c) {
        $c[$i]->request('/probe/conn');
        my $r = $c[$i]->response(5);
        $good++ if $r->{status} == 200;
        $tids{$i}{ fields($r->{body})->{tid} } = 1;
    }
}
is $good, 12, '4 connections, 3 requests on each';
is_deeply [map { scalar keys %$_ } values %tids], [(1) x 4], 'each always by the same worker';
ok wait_until(sub { async($s)->{busy} == 5 }, 2), 'which stays busy with it' or diag explain async($s);
is $s->get('/index.html', within => 2)->{status}, 200, 'the others serve the others';

$c[0]->send("GET /probe/bytes?n=5&length=1 HTTP/1.1\r\nHost: localhost\r\n\r\n" x 5);
is scalar(grep { $c[0]->response(5)->{body} =~ /^.{5}$/s } 1 .. 5), 5, 'a pipeline';

my $closed = close_times(10, @c);
is scalar keys %$closed, 4, 'KeepAliveTimeout 3 ends them';
is_deeply [map { $c[$_]->fits($closed->{$_}, 3, 4) } 0 .. $#c], [('in time') x 4], 'in time';
$_->close for @c;
ok wait_until(sub { my $n = probe($s, 'counters'); $n->{closed} == $n->{pre_connection} - 1 }, 5),
    'no connection is left over' or diag explain probe($s, 'counters');
ok wait_until(sub { async($s)->{busy} == 1 }, 5), 'and the workers are free' or diag explain async($s);
$s->stop;
undef $s;

done_testing;
