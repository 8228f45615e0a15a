# TLS: keep-alive, requests that wait in a filter's buffer, uploads, and what is no TLS.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(shared conns data_file md5 fields);

plan skip_all => 'no IO::Socket::SSL' unless eval { require IO::Socket::SSL; 1 };
my $s = shared();
plan skip_all => 'no mod_ssl' unless $s->has_module('ssl');

{
    my ($c) = conns($s, 1, port => $s->port('ssl'), tls => {});
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
}

{
    my ($raw) = conns($s, 1, port => $s->port('ssl'));
    $raw->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    is $raw->response(5)->{status}, 400, 'HTTP on the TLS port is refused in words';
    my ($half) = conns($s, 1, port => $s->port('ssl'));
    $half->send("\x16\x03\x01\x02");    # the beginning of a handshake
    is $s->get('/index.html', within => 10)->{status}, 200, 'an unfinished handshake disturbs nobody';
    $half->close;
}

done_testing;
