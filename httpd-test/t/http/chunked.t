# Chunked uploads: size and digest as the server read them.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Test within => 60, qw(shared conns md5);

my $s = shared();

my $HEAD = "POST /probe/digest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";

sub chunks {
    my ($body, $size) = @_;
    return join('', map { sprintf "%x\r\n%s\r\n", length $_, $_ } unpack "(a$size)*", $body) . "0\r\n\r\n";
}

sub digest { my ($body) = @_; return length($body) . ' ' . md5($body) . "\n" }

my ($c) = conns($s, 1);
for ([0, 1], [1, 1], [1000, 7], [100_000, 1000], [100_000, 65_536], [5_000_000, 30_000]) {
    my ($length, $size) = @$_;
    my $body = substr join('', map { sprintf '%07d ', $_ } 0 .. $length / 8), 0, $length;
    $c->send($HEAD . chunks($body, $size));
    is $c->response(10)->{body}, digest($body), "$length bytes in chunks of $size";
}

{
    my $body = 'slow but sure ' x 20;
    $c->send($HEAD);
    for my $piece (unpack '(a20)*', chunks($body, 35)) {
        $c->send($piece);
        sleep 0.02;
    }
    is $c->response(10)->{body}, digest($body), 'in small pieces that cut the chunk headers';
}

{
    my $body = 'x' x 2000;
    $c->send($HEAD . chunks($body, 500) . $HEAD . chunks("$body.", 500));
    is $c->response(10)->{body}, digest($body), 'two uploads in one write: the first';
    is $c->response(10)->{body}, digest("$body."), 'and the second';
}

{
    $c->send("${HEAD}nonsense\r\n");
    is $c->response(10)->{status}, 400, 'a chunk without a size';
    ok $c->eof_within(3), 'ends the connection';
    ok !$c->error, 'without a reset' or diag $c->error;
}

{
    my @c = conns($s, 30);
    my @bodies = map { "$_," x 20_000 } 1 .. @c;
    $c[$_]->send($HEAD . substr chunks($bodies[$_], 10_000), 0, 15_000) for 0 .. $#c;
    $c[$_]->send(substr chunks($bodies[$_], 10_000), 15_000) for reverse 0 .. 7;    # those that have the workers first
    my @answers = map { $c[$_]->response(20)->{body} } 0 .. 7;
    $c[$_]->send(substr chunks($bodies[$_], 10_000), 15_000) for 8 .. $#c;
    push @answers, map { $c[$_]->response(20)->{body} } 8 .. $#c;
    is_deeply \@answers, [map { digest($_) } @bodies], '30 uploads at a time, in two parts each';
}

done_testing;
