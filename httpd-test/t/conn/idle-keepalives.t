# 2,000 idle keep-alive connections on 8 workers: they hold nobody up and nobody closes them.
use strict;
use warnings;
use IO::Select;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 90, qw(beyond shared conns close_times open_files wait_until async);

my $s = shared();
my $n = 2000;
$n = open_files() - 200 if $n > open_files() - 200;
plan skip_all => 'ulimit -n is too low' if $n < 200;

my @idle = conns($s, $n);

# One request on each, one after the other.
sub round {
    my $good = 0;
    for my $c (@idle) {
        $c->request('/index.html');
        $good++ if $c->response(5)->{status} == 200;
    }
    return $good;
}

is round(), $n, "$n connections, one request on each";

{
    my ($good, @took) = (0);
    for (1 .. 200) {
        my $begin = time;
        $good++ if $s->get('/index.html', within => 5)->{status} == 200;
        push @took, time - $begin;
    }
    is $good, 200, 'new connections are served';
    @took = sort { $b <=> $a } @took;    # the machine may stand still once
    cmp_ok $took[1], '<', 1, sprintf 'promptly: %.3f s at worst, and then %.3f s', @took[ 0, 1 ];
    my ($c) = conns($s, 1);
    $good = 0;
    for (1 .. 200) { $c->request('/index.html'); $good++ if $c->response(5)->{status} == 200 }
    is $good, 200, 'and so is another persistent one';
}

is scalar keys %{ close_times(0.2, @idle) }, 0, 'none of the idle ones was closed';
is round(), $n, 'each serves another request';

{
    my @busy = @idle[ 0 .. 15 ];    # no newcomers: for one who waits for a second idle ones have to give way
    $_->request('/probe/sleep?ms=300') for @busy;
    my $good = grep { $_->response(10)->{status} == 200 } @busy;
    is $good, 16, 'all workers busy for a moment, twice over';
    is scalar keys %{ close_times(0.2, @idle) }, 0, beyond('none of the idle ones was closed for that');
}

$_->close for @idle;
ok wait_until(sub { async($s)->{total} < 20 }, 10), 'the server notices that they are gone' or diag explain async($s);

done_testing;
