# Expect: 100-continue.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 30, qw(shared conns md5);

my $s = shared();
my ($c) = conns($s, 1);
my $body = 'expected ' x 1000;

for my $round (1 .. 3) {
    $c->request('/probe/digest', method => 'POST',
        headers => { Expect => '100-continue', 'Content-Length' => length $body });
    is $c->response(5)->{status}, 100, "round $round: 100 before the body";
    $c->send($body);
    my $r = $c->response(5);
    is "$r->{status} $r->{body}", '200 ' . length($body) . ' ' . md5($body) . "\n", 'then the answer';
}

$c->request('/probe/digest', method => 'POST', headers => { Expect => '100-continue' }, body => $body);
my $answer = $c->response(5);
$answer = $c->response(5) if $answer->{status} == 100;
is $answer->{status}, 200, 'a body that did not wait for the 100';

my ($refused) = conns($s, 1);
$refused->request('/limited/probe/digest', method => 'POST',
    headers => { Expect => '100-continue', 'Content-Length' => 100_000 });
my $r = $refused->response(5);
is $r->{status}, 413, 'a body over the limit is refused without 100';
is $r->{headers}{connection}, 'close', 'and without waiting for it';
ok $refused->eof_within(3), 'the connection ends';

done_testing;
