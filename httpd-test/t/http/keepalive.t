# Persistent connections: many requests on one, idle time between them, more connections than workers.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 60, qw(beyond shared conns fields wait_until);

my $s = shared();

{
    my ($c) = conns($s, 1);
    my ($good, %pids, %ids, @keepalives) = (0);
    for my $i (1 .. 50) {
        $c->request('/probe/conn');
        my $r = $c->response(5);
        $good++ if $r->{status} == 200 && $r->{complete} && !exists $r->{headers}{connection};
        my $f = fields($r->{body});
        $pids{ $f->{pid} }++;
        push @keepalives, $f->{keepalives};
    }
    is $good, 50, '50 requests on one connection';
    is scalar keys %pids, 1, 'served by one child';
    is_deeply \@keepalives, [0 .. 49], 'httpd counted one connection';
    sleep 1.5;
    $c->request('/index.html');
    is $c->response(5)->{status}, 200, 'another request after 1.5 s of silence';
    $c->request('/probe/bytes?n=100000&length=1', headers => { Connection => 'close' });
    my $r = $c->response(5);
    is length $r->{body}, 100_000, 'the last response is whole';
    is $r->{headers}{connection}, 'close', 'which says that it is the last';
    ok $c->eof_within(5), 'and the server closes';
    ok !$c->error, 'without a reset' or diag $c->error;
}

for my $n (4, 40) {
    my @c = conns($s, $n);
    my $name = "$n connections on 8 workers, 5 rounds";
    my $good = 0;
    for my $round (1 .. 5) {
        $_->request("/probe/bytes?n=$round&length=1") for @c;
        for my $c (@c) {
            my $r = $c->response(5);
            $good++ if $r->{status} == 200 && length $r->{body} == $round;
        }
    }
    is $good, 5 * $n, $n > 8 ? beyond("$name, none of them closed because the others are busy") : $name;
}

{
    my ($c) = conns($s, 1);
    $c->request('/probe/slowhead?ms=4000', version => '1.0');
    ok wait_until(sub { $c->_fill(time); $c->buffered =~ /head\n/ }, 3.5), 'what a handler flushes arrives at once';
    unlike $c->buffered, qr/body/, 'before the rest';
    like $c->response(5)->{body}, qr/^head\nbody\n$/, 'which follows';
}

{
    my ($c) = conns($s, 1);
    my $request = "GET /probe/bytes?n=10 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    my $good = 0;
    for my $split (1, 5, 30, length($request) - 2) {
        $c->send(substr $request, 0, $split);
        sleep 0.1;
        $c->send(substr $request, $split);
        $good++ if $c->response(5)->{body} =~ /^.{10}$/s;
    }
    is $good, 4, 'requests that arrive in two pieces on an idle connection';
    $c->send("\r\n\r\n");
    sleep 0.1;
    $c->send($request);
    is $c->response(5)->{status}, 200, 'empty lines before a request';
}

done_testing;
