# An HTTP/2 client that does not open its window: the connection has Timeout, not KeepAliveTimeout, and holds no worker.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(probe_server conns narrow_conns data_file close_times wait_until);
use MPMTest::HTTP2 qw(connect_h2);

my $s = eval {
    probe_server(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4,
            AsyncRequestWorkerFactor => 50 },
        modules => ['http2'], conf => "Protocols h2c http/1.1\nH2Direct on\nKeepAliveTimeout 1\nTimeout 4\n",
    );
};
plan skip_all => 'no mod_http2' if !$s;
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
data_file($s, 'window.bin', 1 << 20);

my @c = conns($s, 20);
my $begin = time;
connect_h2($_, '/window.bin') for @c;

my %bytes;
my $full = sub {    # a client that never says WINDOW_UPDATE gets 65,535 bytes
    for my $c (@c) {
        1 while $c->_fill(time);
        $bytes{$c} += length $_->[3] for grep { $_->[0] == 0 } MPMTest::HTTP2::frames($c);
    }
    return @c == grep { ($bytes{$_} // 0) == 65_535 } @c;
};
ok wait_until(sub { $full->() }, 5), '20 clients have received what their windows allow' or diag join ' ', values %bytes;

is $s->get('/index.html', within => 2)->{status}, 200, 'others are served on the 4 workers';
my $closed = close_times(9, @c);
is scalar keys %$closed, 20, 'they are closed in the end';
my @after = sort { $a <=> $b } map { $_ - $begin } values %$closed;
cmp_ok $after[0],  '>=', 3.5, sprintf 'by Timeout 4, not KeepAliveTimeout 1: after %.1f s', $after[0];
cmp_ok $after[-1], '<',  7,   sprintf 'the last one after %.1f s', $after[-1];

{
    my ($idle) = conns($s, 1);
    connect_h2($idle, '/index.html');
    my $end = wait_until { $idle->_fill(time); grep { $_->[0] == 0 && $_->[1] & 1 } MPMTest::HTTP2::frames($idle) } 5;
    ok $end, 'a connection whose stream has ended';
    my $from = time;
    ok $idle->eof_within(4), 'has KeepAliveTimeout';
    cmp_ok time - $from, '>', 0.9, 'for its time';
    cmp_ok time - $from, '<', 2.5, 'and no longer';
}
$s->stop;
undef $s;

done_testing;
