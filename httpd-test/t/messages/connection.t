# What is said of connections that are refused or break off; compared with mpm_event.

use strict;
use warnings;
use Test::More;
use MPMTest::Messages qw(messages says_as_stock);
use MPMTest::Server qw(module_dir wait_until);
use MPMTest::Test within => 60, qw(narrow_conns probe_server);

my %mpm = (ServerLimit => 1, ThreadLimit => 4, ThreadsPerChild => 4, MaxRequestWorkers => 4, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server {
    my $s = probe_server(mpm => {%mpm}, @_);
    $s->start or die 'does not start: ' . $s->console_text;
    $s->clear_log_mark;
    return $s;
}

# A virtual host on a port of its own.
sub vhost { my ($port, $text) = @_; return "Listen 127.0.0.1:$port\n<VirtualHost 127.0.0.1:$port>\n$text\n</VirtualHost>\n" }

my @odd = ([ declined => '-1 (state 1)' ], [ error => '500 (state 1)' ], [ handler => '0 (unexpected state 2)' ],
    [ badstate => '0 (unexpected state 16)' ]);
says_as_stock('AH10111: what a process_connection hook must not return', sub {
    my @ports = map { MPMTest::Server->free_port } @odd;
    my $s = server(@_, conf => join '', map { vhost($ports[$_], "ProbeOddState $odd[$_][0]") } 0 .. $#odd);
    for my $i (0 .. $#odd) {
        my $conn = $s->open_conn(port => $ports[$i]);
        $conn->send("hello\n");
        $conn->eof_within(5);
        wait_until { $s->log_count(qr/AH10111/) > $i } 5;
    }
    return messages($s, qr/AH10111/);
}, [ map {"debug [client] AH10111: process_socket: connection processing returned $_->[1]: closing"} @odd ]);

SKIP: {
    skip 'libapache2-mod-perl2 is not installed', 1 unless -e module_dir() . '/mod_perl.so';
    says_as_stock('AH00469: a module refuses the connection', sub {
        my $port = MPMTest::Server->free_port;
        my $s = server(@_, modules => ['perl'], conf => vhost($port, 'PerlPreConnectionHandler Probe::Refuse'),
            pre_conf => "<Perl>\npackage Probe::Refuse;\nsub handler { 500 }\n\$INC{'Probe/Refuse.pm'} = 1;\n</Perl>\n");
        my $conn = $s->open_conn(port => $port);
        $conn->send("GET / HTTP/1.0\r\n\r\n");
        $conn->eof_within(5) or return ['not closed'];
        $s->log_like(qr/AH00469/, 5);
        return messages($s, qr/AH00469/);
    }, ['debug [client] AH00469: process_socket: connection aborted']);
}

says_as_stock('AH00470: the peer resets while it is written to', sub {
    my $s = server(@_, conf => "EnableSendfile On\n");
    $s->write_file('htdocs/big', 'x' x 20_000_000);
    my ($conn) = narrow_conns($s, 1, buffer => 4096);
    $conn->request('/big');
    wait_until { ($s->status->{ConnsAsyncWriting} // 0) == 1 } 10;
    $conn->reset;
    $s->log_like(qr/AH00470/, 5);
    return messages($s, qr/AH00470/);
}, ['debug (104)Connection reset by peer: [client] AH00470: network write failure in core output filter']);

done_testing;
