# ap_mpm_query: event's set of codes, each with the right value, and APR_ENOTIMPL for the rest.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(probe_server is_stock);

my $s = probe_server(
    mpm => { ServerLimit => 5, ThreadLimit => 9, StartServers => 2, ThreadsPerChild => 6, MaxRequestWorkers => 24,
        MinSpareThreads => 3, MaxSpareThreads => 17, MaxConnectionsPerChild => 4321 },
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

sub query { my ($code) = @_; chomp(my $body = $s->get("/probe/query?code=$code")->{body}); return $body }

my @codes = (
    [2, 1, 'IS_THREADED: static'], [3, 2, 'IS_FORKED: dynamic'], [4, 5, 'HARD_LIMIT_DAEMONS: ServerLimit'],
    [5, 9, 'HARD_LIMIT_THREADS: ThreadLimit'], [6, 6, 'MAX_THREADS: ThreadsPerChild'], [7, 0, 'MIN_SPARE_DAEMONS'],
    [8, 3, 'MIN_SPARE_THREADS'], [9, 0, 'MAX_SPARE_DAEMONS'], [10, 17, 'MAX_SPARE_THREADS'],
    [11, 4321, 'MAX_REQUESTS_DAEMON: MaxConnectionsPerChild'], [12, 4, 'MAX_DAEMONS: MaxRequestWorkers / ThreadsPerChild'],
    [13, 1, 'MPM_STATE: running'], [14, 1, 'IS_ASYNC'], [15, 0, 'GENERATION: the first'],
);
is query($_->[0]), "0 $_->[1]", $_->[2] for @codes;

like query(1), qr/^0 [1-4]$/, 'MAX_DAEMON_USED: what the child saw when it was born';
my ($patch) = `"$s->{binary}" -v` =~ m{Apache/2\.4\.(\d+)};
is query(19), $patch >= 63 ? '0 1' : 'ENOTIMPL', "CAN_WAITIO from 2.4.63 on; this is 2.4.$patch";

is query($_), 'ENOTIMPL', "code $_ is not implemented" for 0, 16, 20, 21, 99, -1;
SKIP: {
    skip 'offered by this module', 2 if !is_stock() && query(17) ne 'ENOTIMPL';
    is query($_), 'ENOTIMPL', "code $_ is not implemented" for 17, 18;
}

ok $s->graceful(old_gone => 1), 'a graceful restart';
is query(15), '0 1', 'GENERATION: the second';
is query(13), '0 1', 'MPM_STATE: running';
is query(4),  '0 5', 'HARD_LIMIT_DAEMONS as before';

$s->configure(mpm => { MaxSpareThreads => 5, MaxConnectionsPerChild => undef });
ok $s->graceful(old_gone => 1), 'another one with a MaxSpareThreads that is too low';
is query(10), '0 10', 'MAX_SPARE_THREADS: MinSpareThreads + ThreadsPerChild + 1';
is query(11), '0 0', 'MAX_REQUESTS_DAEMON: no limit';

my $conn = $s->get('/probe/conn')->{body};
like $conn, qr/^mpm: event$/m, 'ap_show_mpm() says event';
$s->stop;
undef $s;

done_testing;
