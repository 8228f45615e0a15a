package MPMTest::Restarts;

# what each test of one of the server's own modules does: serve under load over graceful restarts and a hard one

use strict;
use warnings;
use Exporter 'import';
use Test::More;
use MPMTest::Load;
use MPMTest::Server qw(wait_until);
use MPMTest::Test ();

our @EXPORT_OK = qw(over_restarts round);

# Three graceful restarts while clients (see MPMTest::Load) are at work, then a hard one; after each of them, and before
# the first, check->('...') is called with a word for it. Returns what the clients counted.
# Options: clients => [...], check => sub, graceful => 3, old_gone => 1 (wait for the end of the old children).
sub over_restarts {
    my ($s, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $check = $o{check} // sub { };
    $check->('at first');
    my $load = MPMTest::Load->new($s, $o{clients}, limit => 90);
    for my $n (1 .. $o{graceful} // 3) {
        ok $s->graceful(old_gone => $o{old_gone}, within => 30), "graceful restart $n" or last;
        $check->("after graceful restart $n");
        my $served = -s $s->dir . '/logs/access_log';
        wait_until { -s $s->dir . '/logs/access_log' > $served + 2000 } 5;    # the load goes on for a while
    }
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 50, "under load: $count->{ok} requests answered";
    my %faults = map { $_ => $count->{$_} } grep { $count->{$_} } qw(refused bad partial late died);
    is_deeply \%faults, {}, 'no answer was wrong, broken off, late or missing' or diag explain $count;
    is $count->{lost}, 0, MPMTest::Test::beyond('and no request lost');
    ok $s->hard_restart, 'hard restart';
    $check->('after the hard restart');
    return $count;
}

# One request on each of these connections, sent at once: the bodies of the answers, '' for one that is not 200.
sub round {
    my ($path, @c) = @_;
    $_->request($path) for @c;
    return map { my $r = $_->response(20); $r->{status} == 200 && $r->{complete} ? $r->{body} : '' } @c;
}

1;
