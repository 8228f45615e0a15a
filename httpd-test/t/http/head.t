# HEAD: no body, and the connection goes on with the next request.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 30, qw(shared conns data_file);

my $s = shared();
data_file($s, 'head.bin', 300_000);

my ($c) = conns($s, 1);
$c->request('/head.bin', method => 'HEAD');
my $head = $c->response(5, method => 'HEAD');
is $head->{status}, 200, 'HEAD';
is $head->{headers}{'content-length'}, 300_000, 'tells the length';
$c->request('/head.bin');
my $get = $c->response(5);
is length $get->{body}, 300_000, 'GET on the same connection has the body';
is $get->{headers}{etag}, $head->{headers}{etag}, 'and the same ETag';

$c->send("HEAD /head.bin HTTP/1.1\r\nHost: localhost\r\n\r\n" x 3 . "GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n");
is $c->response(5, method => 'HEAD')->{status}, 200, "pipelined HEAD $_" for 1 .. 3;
is $c->response(5)->{body}, $s->slurp('htdocs/index.html'), 'and the GET behind them';

$c->request('/head.bin', headers => { 'If-None-Match' => $get->{headers}{etag} });
is $c->response(5)->{status}, 304, '304 on the same connection';
$c->request('/head.bin', headers => { Range => 'bytes=1024-1038' });
my $part = $c->response(5);
is "$part->{status} $part->{body}", '206 000000000000001', '206 on the same connection';

done_testing;
