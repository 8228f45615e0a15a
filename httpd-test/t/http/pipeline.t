# Several requests in one write: answered in order, on one connection, whatever is split or follows.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Test within => 60, qw(shared conns md5 fields);

my $s = shared();

sub request { my ($path, @more) = @_; return join "\r\n", "GET $path HTTP/1.1", 'Host: localhost', @more, '', '' }

{
    my ($c) = conns($s, 1);
    $c->send(join '', map { request("/probe/bytes?n=$_&length=1") } 1 .. 10);
    is_deeply [map { length $c->response(5)->{body} } 1 .. 10], [1 .. 10], 'ten requests in one write, in order';
    $c->request('/probe/conn');
    is fields($c->response(5)->{body})->{keepalives}, 10, 'all on this connection';
}

{
    my ($c) = conns($s, 1);
    $c->send(join '', request('/probe/sleep?ms=200'), map { request("/probe/bytes?n=$_&length=1") } 1 .. 9);
    like $c->response(5)->{body}, qr/^slept 200/, 'the first of ten takes its time';
    is_deeply [map { length $c->response(5)->{body} } 1 .. 9], [1 .. 9], 'the rest follow in order';
}

{
    my ($c) = conns($s, 1);
    my $last = request('/probe/bytes?n=77&length=1');
    $c->send(join '', (map { request("/probe/bytes?n=$_&length=1") } 1 .. 3), substr $last, 0, 20);
    is_deeply [map { length $c->response(5)->{body} } 1 .. 3], [1 .. 3], 'three requests and the beginning of a fourth';
    sleep 0.2;
    $c->send(substr $last, 20);
    is length $c->response(5)->{body}, 77, 'the fourth is answered when its end has come';
}

{
    my ($c) = conns($s, 1);
    my @bodies = map { chr(64 + $_) x (1000 * $_) } 1 .. 10;
    $c->send(join '', map {
        "POST /probe/digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: " . length($_) . "\r\n\r\n$_"
    } @bodies);
    is_deeply [map { $c->response(5)->{body} } @bodies], [map { length($_) . ' ' . md5($_) . "\n" } @bodies],
        'ten uploads in one write';
}

{
    my ($c) = conns($s, 1);
    $c->send(join '', request('/probe/bytes?n=5&length=1'), request('/probe/bytes?n=6&length=1', 'Connection: close'),
        request('/probe/bytes?n=7&length=1'));
    is_deeply [map { length $c->response(5)->{body} } 1 .. 2], [5, 6], 'two of three when the second says close';
    is $c->response(5)->{status}, 0, 'the third is not answered';
    ok $c->eof_within(5), 'the connection ends';
    ok !$c->error, 'without a reset' or diag $c->error;
}

{
    my @c = conns($s, 20);
    my $pipeline = join '', map { request("/probe/bytes?n=$_&length=1") } 1 .. 20;
    $_->send($pipeline) for @c;
    my $good = 0;
    for my $c (@c) {
        for my $n (1 .. 20) { $good++ if length $c->response(5)->{body} == $n }
    }
    is $good, 400, '20 pipelines of 20 requests at a time';
}

{
    my ($c) = conns($s, 1);
    $c->send(request('/probe/bytes?n=2000000&length=1') x 5);
    sleep 0.3;    # the server's send buffer fills while nobody reads
    is_deeply [map { length $c->response(10)->{body} } 1 .. 5], [(2_000_000) x 5],
        'five pipelined 2 MB responses to a client that begins to read late';
}

done_testing;
