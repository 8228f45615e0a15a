# What is said when the system refuses to watch a connection or to close it, and what becomes of it; compared with
# mpm_event.

use strict;
use warnings;
use Test::More;
use MPMTest::Messages qw(fail_calls faults heal_calls messages says_as_stock);
use MPMTest::Server;
use MPMTest::Test within => 60, qw(narrow_conns probe_server);

plan skip_all => 'no C compiler' unless faults();

my %mpm = (ServerLimit => 1, ThreadLimit => 4, ThreadsPerChild => 4, MaxRequestWorkers => 4, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

# A server with faults, and a port with a protocol that waits for I/O.
sub server {
    my $waitio = MPMTest::Server->free_port;
    my $s = probe_server(faults(), mpm => {%mpm}, @_, conf => <<"EOT");
EnableSendfile On
Listen 127.0.0.1:$waitio
<VirtualHost 127.0.0.1:$waitio>
    ProbeOddState waitio
</VirtualHost>
EOT
    $s->start or die 'does not start: ' . $s->console_text;
    $s->clear_log_mark;
    return ($s, $waitio);
}

my $enospc = 'error (28)No space left on device';
my @ways   = (
    [ 'AH03093', "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",    'for keep alive' ],
    [ 'AH03465', "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n", 'in CONN_STATE_WRITE_COMPLETION' ],
    [ 'AH10503', 'part of a line',                                 'in CONN_STATE_ASYNC_WAITIO' ],
);
for my $way (@ways) {
    my ($id, $sent, $where) = @$way;
    says_as_stock("$id: $where", sub {
        my ($s, $waitio) = server(@_);
        $s->write_file('htdocs/big', 'x' x 20_000_000);
        my ($conn) = narrow_conns($s, 1, buffer => 4096, port => $id eq 'AH10503' ? $waitio : $s->port);
        fail_calls(epoll_add => 0);
        $conn->send($sent);
        $s->log_like(qr/$id/, 5);
        heal_calls();
        return [ @{ messages($s, qr/$id/) }, $conn->eof_within(5) ? 'the connection ends' : 'it stays' ];
    }, [ "$enospc: $id: process_socket: apr_pollset_add failure $where", 'the connection ends' ]);
}

says_as_stock('AH03092: lingering close', sub {
    my ($s) = server(@_);
    my $conn = $s->open_conn;
    fail_calls(epoll_add => 0);
    $conn->request('/probe/close');
    $s->log_like(qr/AH03092/, 5);
    heal_calls();
    return messages($s, qr/AH03092/);
}, ["$enospc: AH03092: process_lingering_close: apr_pollset_add failure"]);
says_as_stock('AH00468: a close that fails', sub {
    my ($s) = server(@_);
    fail_calls(close => 0);
    my $conn = $s->open_conn;
    $conn->request('/', headers => { Connection => 'close' });
    $conn->response;
    $conn->close;
    $s->log_like(qr/AH00468/, 5);
    heal_calls();
    return [ messages($s, qr/AH00468/)->[0] ];
}, ['error (5)Input/output error: AH00468: error closing socket']);

done_testing;
