# mod_ratelimit: paces each of several answers, whole; a paced answer holds one worker at most; over restarts.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 90, qw(conns shared wait_until data_file md5);
use MPMTest::Restarts qw(over_restarts);

plan skip_all => 'no mod_ratelimit' unless shared()->has_module('ratelimit');

my $s = MPMTest::Server->new(
    modules => [qw(ratelimit env)],
    mpm  => { StartServers => 1, ServerLimit => 4, ThreadsPerChild => 16, MaxRequestWorkers => 32, MinSpareThreads => 8,
        MaxSpareThreads => 64 },
    conf => qq{<Location "/paced">\nSetOutputFilter RATE_LIMIT\nSetEnv rate-limit 100\n</Location>\n},
);
mkdir $s->htdocs . '/paced';
chmod 0755, $s->htdocs . '/paced';
my $SIZE = 200 << 10;    # at 100 KiB/s: two seconds, less the first and the last chunk's pause
my $want = data_file($s, 'paced/file', $SIZE);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# Asks for 6 paced files, calls the block in between, and checks what came.
sub paced {
    my ($when, $between) = @_;
    my @c = conns($s, 6);
    my $begin = time;
    $_->request('/paced/file') for @c;
    $between->();
    my @bodies = map { $_->response(20)->{body} } @c;
    my $took = time - $begin;
    is scalar(grep { length == $SIZE && md5($_) eq $want } @bodies), 6, "six paced files at once are whole, $when";
    cmp_ok $took, '>', 1.4, sprintf 'paced: %.2f s, %s', $took, $when;
    cmp_ok $took, '<', 9, "and beside each other, $when";
    $_->close for @c;
    return;
}

sub check {
    my ($when) = @_;
    paced($when, sub {
        my $fewest = 99;    # a worker that has just answered may still be counted
        wait_until { my $n = $s->status->{BusyWorkers} // 0; $fewest = $n if $n >= 7 && $n < $fewest; $fewest <= 9 } 1;
        cmp_ok $fewest == 99 ? 7 : $fewest, '<=', 6 + 1 + 2, "each holds one worker at most, $when";    # the asking one, and two clients
        is $s->get('/', within => 5)->{status}, 200, "others are served, $when";
    });
    return;
}

over_restarts($s, check => \&check, old_gone => 1, clients => [ { keepalive => 1, think => 0.005 }, { keepalive => 0, think => 0.01 } ]);
paced('over a graceful restart', sub { ok $s->graceful, 'graceful restart' });
$s->ends_well;
undef $s;

done_testing;
