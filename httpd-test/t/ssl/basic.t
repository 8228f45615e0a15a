# TLS: keep-alive, requests that wait in a filter's buffer, uploads, idle connections, close_notify at their end.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 60, qw(shared conns data_file md5 fields);

no warnings 'once';
plan skip_all => 'no IO::Socket::SSL' unless eval { require IO::Socket::SSL; require Net::SSLeay; 1 };
my $s = shared();
plan skip_all => 'no mod_ssl' unless $s->has_module('ssl');

# A TLS connection; the client speaks HTTP/1.1.
sub tls {
    my $sock = IO::Socket::SSL->new(
        PeerAddr => '127.0.0.1', PeerPort => $s->port('ssl'), SSL_verify_mode => 0, Timeout => 10,
        SSL_alpn_protocols => ['http/1.1'],
    ) or die "TLS: $IO::Socket::SSL::SSL_ERROR\n";
    return MPMTest::Conn->new(socket => $sock);
}

# 'close_notify' or how else the stream ended, and when; undef when it did not end in time.
sub ending {
    my ($c, $within) = @_;
    my $ssl = $c->sock->_get_ssl_object;
    my $end = time + $within;
    while (time < $end) {
        my $n = sysread $c->sock, my $data, 1000;
        if (defined $n && $n == 0 || !defined $n && !$!{EAGAIN}) {
            return (Net::SSLeay::get_shutdown($ssl) & 2 ? 'close_notify' : 'bare end', time);
        }
        sleep 0.01;
    }
    return ('still open', time);
}

{
    my $c = tls();
    my $good = 0;
    for my $i (1 .. 30) {
        $c->request("/probe/bytes?n=$i&length=1");
        my $r = $c->response(5);
        $good++ if $r->{status} == 200 && length $r->{body} == $i;
    }
    is $good, 30, '30 requests on one connection';
    $c->request('/probe/conn');
    is fields($c->response(5)->{body})->{keepalives}, 30, 'which was one to the server as well';

    my $one = "GET /probe/bytes?n=9&length=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    $c->send($one x 20);
    is scalar(grep { length $c->response(5)->{body} == 9 } 1 .. 20), 20, '20 requests in one TLS record';

    my $body = 'upload ' x 100_000;
    $c->request('/probe/digest', method => 'POST', body => $body);
    is $c->response(10)->{body}, length($body) . ' ' . md5($body) . "\n", 'an upload of 700 kB';

    my $want = data_file($s, 'tls.bin', 5 << 20);
    $c->request('/tls.bin');
    is md5($c->response(20)->{body}), $want, 'a file of 5 MB';

    my $sent = time;
    $c->request('/index.html');
    is $c->response(5)->{status}, 200, 'the last request';
    my ($how, $when) = ending($c, 5);
    is $how, 'close_notify', 'KeepAliveTimeout 2 ends with a close_notify';
    cmp_ok $when - $sent, '>=', 2, 'not early';
    cmp_ok $when - $sent, '<', 3.5, 'nor late';
}

{
    my $sent = time;
    my (@c, $good);
    for (1 .. 40) {
        my $c = tls();
        push @c, $c;
        $c->request('/index.html');
        $good++ if $c->response(5)->{status} == 200;
    }
    is $good, 40, '40 connections on 8 workers';
    my %how;
    for my $c (@c) { my ($how) = ending($c, $sent + 6 - time); $how{$how}++ }
    is_deeply \%how, { close_notify => 40 }, 'all end with a close_notify';
}

{
    my $c = tls();
    $c->request('/index.html', headers => { Connection => 'close' });
    is $c->response(5)->{status}, 200, 'Connection: close';
    my ($how) = ending($c, 3);
    is $how, 'close_notify', 'ends with a close_notify, too';
}

{
    my ($raw) = conns($s, 1, port => $s->port('ssl'));
    $raw->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    is $raw->response(5)->{status}, 400, 'HTTP on the TLS port is refused in words';
    my ($half) = conns($s, 1, port => $s->port('ssl'));
    $half->send("\x16\x03\x01\x02");    # the beginning of a handshake
    is $s->get('/index.html', within => 2)->{status}, 200, 'an unfinished handshake disturbs nobody';
    $half->close;
}

done_testing;
