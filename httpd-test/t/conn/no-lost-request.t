# More keep-alive clients than workers: a request that has arrived is answered, however busy the workers are.
use strict;
use warnings;
use IO::Select;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(beyond shared conns);

my $s       = shared();
my $CLIENTS = 64;
my $ROUNDS  = 10;

my @c = conns($s, $CLIENTS);
# Each is accepted while workers are idle: for one who waits for a second idle connections have to give way.
for my $c (@c) { $c->request('/index.html'); $c->response(5)->{status} == 200 or die "no answer\n" }
my $select = IO::Select->new;
my (%conn_of, %done, %outcome);
for my $c (@c) {
    $c->request('/probe/sleep?ms=5');
    $conn_of{ fileno $c->sock } = $c;
    $select->add($c->sock);
}
my $end = time + 30;
while ($select->count && time < $end) {
    for my $sock ($select->can_read(1)) {
        my $c = $conn_of{ fileno $sock };
        my $r = $c->response(5);
        $outcome{ $r->{status} || $r->{error} }++;
        if ($r->{status} != 200 || ++$done{$c} == $ROUNDS) { $select->remove($sock); next }
        my @more = $done{$c} % 2 ? (method => 'POST', body => 'x' x 100) : ();
        $c->request('/probe/sleep?ms=5', @more);
    }
}
is_deeply \%outcome, { 200 => $CLIENTS * $ROUNDS },
    beyond("$CLIENTS clients on 8 workers: all of " . $CLIENTS * $ROUNDS . ' requests answered');

done_testing;
