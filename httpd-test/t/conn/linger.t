# Lingering close of a response that ends its connection: FIN first, then what the client still sends is drained, for 2 s
# where a module says so.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 30, qw(shared conns);

my $s = shared();

# Requests $path and reads the response, the server having sent its FIN.
sub ended {
    my ($path, $behind) = @_;
    my ($c) = conns($s, 1);
    $c->request($path, body => $behind);
    my $r = $c->response(5);
    is $r->{status}, 200, "$path is answered";
    is $r->{headers}{connection}, 'close', 'and announced as the last';
    ok $c->eof_within(1.8), 'FIN at once';
    ok !$c->error, 'no reset' or diag $c->error;
    return $c;
}

my $first = ended('/probe/close', 'x' x 50_000);
my @short = map { ended('/probe/close?short=1') } 1 .. 3;

ok $first->send('y' x 500_000, 5), 'a client may send half a megabyte after the FIN';
$first->close;

for my $closed (MPMTest::Conn::drained_until(8, @short)) {
    my $after = ($closed // 9**9**9) - $short[0]{asked};
    ok $after >= 2 && $after < 6, sprintf 'short-lingering-close: given up after %.2f s', $after;
}

done_testing;
