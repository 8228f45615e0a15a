# 200 clients that do not read the file they asked for hold no worker; then all of them get all of it.
use strict;
use warnings;
use IO::Select;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 120, qw(beyond shared narrow_conns data_file wait_until async);

my $s       = shared();
my $READERS = 200;
my $SIZE    = 5 << 20;
data_file($s, 'slow.bin', $SIZE);

my @c = narrow_conns($s, $READERS, buffer => 200_000);
$_->request('/slow.bin') for @c;

my $beginning = wait_until { my @no = grep { !length $_->{in} && !$_->_fill(time) } @c; !@no } 20, 0.1;
ok $beginning, "$READERS responses have begun";

{
    my ($good, @took) = (0);
    for (1 .. 100) {
        my $begin = time;
        $good++ if $s->get('/index.html', within => 5)->{status} == 200;
        push @took, time - $begin;
    }
    is $good, 100, 'others are served meanwhile';
    @took = sort { $b <=> $a } @took;    # the machine may stand still once
    cmp_ok $took[1], '<', 1, sprintf 'promptly: %.3f s at worst, and then %.3f s', @took[ 0, 1 ];
}

ok wait_until(sub { async($s)->{writing} == $READERS }, 3), beyond("mod_status counts $READERS writing")
    or diag explain async($s);

my %left;    # bytes each still has to read
my %conn_of;
my $select = IO::Select->new;
for my $c (@c) {
    $c->_fill(time + 5) until $c->{in} =~ s/^HTTP.*?\r\n\r\n//s || $c->{eof};
    $left{$c} = $SIZE - length $c->{in};
    $conn_of{ fileno $c->sock } = $c;
    $select->add($c->sock);
}
my $end = time + 80;
my %outcome;
while ($select->count && time < $end) {
    for my $sock ($select->can_read(1)) {
        my $c = $conn_of{ fileno $sock };
        my $n = sysread $sock, my $data, 262_144;
        next if !defined $n && $!{EAGAIN};
        $left{$c} -= $n || 0;
        next if $n && $left{$c} > 0;
        $outcome{ $left{$c} == 0 ? 'whole' : defined $n ? 'cut short' : "$!" }++;
        $select->remove($sock);
    }
}
is_deeply \%outcome, { whole => $READERS }, "all $READERS read to the end and get $SIZE bytes";

{
    my $good = 0;
    for my $c (@c) {
        $c->{in} = '';
        $c->request('/index.html');
        $good++ if $c->response(5)->{status} == 200;
    }
    is $good, $READERS, beyond('their connections go on');
}

done_testing;
