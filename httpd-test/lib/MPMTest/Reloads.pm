package MPMTest::Reloads;

# A server's restarts under keep-alive load, for tests of what other modules make of them.

use strict;
use warnings;

use Exporter 'import';
use MPMTest::Load   ();
use MPMTest::Server qw(module_dir wait_until);
use Test::More import => [qw(cmp_ok is ok plan unlike)];

our @EXPORT_OK = qw(load_over_reloads needs no_crash);

# Skips the file where a module is missing: needs(perl => 'libapache2-mod-perl2', ...).
sub needs {
    my (%package) = @_;
    my @missing = map { $package{$_} } grep { !-e module_dir() . "/mod_$_.so" } sort keys %package;
    plan skip_all => "not installed: @missing" if @missing;
    return;
}

# Keep-alive clients ask for $path over 3 graceful restarts and, without them, 1 hard restart; returns what they
# counted (MPMTest::Load). Asserts that each generation serves.
# Options: clients => n (4), requests => so many between two restarts (100).
sub load_over_reloads {
    my ($s, $path, %o) = @_;
    my @clients = map { { keepalive => 1, path => $path, think => 0.002 * $_ } } 1 .. $o{clients} // 4;
    my $load = MPMTest::Load->new($s, \@clients);
    my $answers = sub { my $n = () = $s->access_log =~ m{^\d+ 200 \S+ "GET \Q$path\E}mg; return $n };
    for my $n (1 .. 3) {
        my $enough = $answers->() + ($o{requests} // 100);
        ok wait_until { $answers->() >= $enough } 20, 0.05;
        ok $s->graceful, "graceful restart $n under load" or last;
    }
    my $enough = $answers->() + ($o{requests} // 100);
    ok wait_until { $answers->() >= $enough } 20, 0.05;
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 4 * ($o{requests} // 100), 'requests were answered';
    ok $s->hard_restart, 'hard restart';
    is $s->get($path)->{status}, 200, 'serves after it';
    return $count;
}

# The log tells of no crash, and of nobody who had to be killed (mod_fcgid's manager says its good-bye at level emerg).
sub no_crash {
    my ($s) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $trouble = qr/exit signal|AH00046|AH00060|panicked|(?<!fcgid):(?:crit|alert|emerg)\]/;
    return unlike $s->error_log, $trouble, 'nothing of a crash in the log';
}

1;
