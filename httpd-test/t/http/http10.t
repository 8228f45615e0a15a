# HTTP/1.0: closed after the response, unless the client asks to keep it.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 30, qw(shared conns);

my $s = shared();

{
    my ($c) = conns($s, 1);
    $c->request('/probe/bytes?n=5000', version => '1.0');
    my $r = $c->response(5);
    is $r->{status}, 200, 'HTTP/1.0';
    is length $r->{body}, 5000, 'the body ends with the connection';
    ok !$c->error, 'which is closed without a reset' or diag $c->error;
}

{
    my ($c) = conns($s, 1);
    my $good = 0;
    for (1 .. 3) {
        $c->request('/index.html', version => '1.0', headers => { Connection => 'Keep-Alive' });
        my $r = $c->response(5);
        $good++ if $r->{status} == 200 && ($r->{headers}{connection} // '') eq 'Keep-Alive';
    }
    is $good, 3, 'HTTP/1.0 with Connection: Keep-Alive is kept';
    $c->request('/index.html', version => '1.0');
    is $c->response(5)->{status}, 200, 'and then a request without it';
    ok $c->eof_within(5), 'ends the connection';
}

{
    my ($c) = conns($s, 1);
    $c->send("GET /index.html HTTP/1.0\r\n\r\n");
    is $c->response(5)->{status}, 200, 'no Host, no other field';
    ok $c->eof_within(5), 'closed';
}

{
    my ($c) = conns($s, 1);
    $c->send("NONSENSE\r\n\r\n");
    is $c->response(5)->{status}, 400, 'a line that is no request';
    ok $c->eof_within(5), 'ends the connection';
}

done_testing;
