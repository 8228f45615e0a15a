# PR 56226: a connection idled for the KeepAliveTimeout of its first virtual host, whichever had served it last.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 30, qw(shared conns close_times);

my $s    = shared();
my $LATE = 2.5;        # seconds: the machine may stand still, and 1 + 2.5 is less than 4
my $EACH = 5;          # connections of each kind

# Three names on one address: base.test has 4 s, quick.test 1 s, unset.test none of its own.
my %cases = (
    'the base host'                              => [4, 'base.test'],
    'the one with a shorter timeout'             => [1, 'quick.test'],
    'quick, then base'                           => [4, 'quick.test', 'base.test'],
    'base, then quick'                           => [1, 'base.test', 'base.test', 'quick.test'],
    'to and fro'                                 => [1, ('quick.test', 'base.test') x 3, 'quick.test'],
    'a host without its own takes the base host\'s' => [4, 'unset.test'],
    'quick, then a host without its own'         => [4, 'quick.test', 'unset.test'],
    'a host without its own, then quick'         => [1, 'unset.test', 'quick.test'],
    'a name that nobody has is the base host'    => [4, 'quick.test', 'nobody.test'],
);

my (%conns, @all);
for my $name (sort keys %cases) {
    my (undef, @hosts) = @{ $cases{$name} };
    $conns{$name} = [ conns($s, $EACH, port => $s->port('names')) ];
    for my $c (@{ $conns{$name} }) {
        for my $host (@hosts) {
            $c->request('/index.html', headers => { Host => $host });
            $c->response(5)->{status} == 200 or BAIL_OUT("no answer from $host");
        }
    }
    push @all, @{ $conns{$name} };
}

my $closed = close_times(8, @all);
my %ended;
@ended{@all} = @$closed{ 0 .. $#all };
for my $name (sort keys %cases) {
    my $after = $cases{$name}[0];
    my %verdicts;
    $verdicts{ $_->fits($ended{$_}, $after, $LATE) }++ for @{ $conns{$name} };
    is_deeply \%verdicts, { 'in time' => $EACH }, "$name: closed after $after s";
}

done_testing;
