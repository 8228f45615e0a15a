# PR 63534: an HTTP/2 connection whose client did not open its window was taken for an idle one: KeepAliveTimeout ended
# it, and so did a moment of load.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 60, qw(probe_server conns data_file close_times wait_until);
use MPMTest::HTTP2 qw(connect_h2);

my ($KEPT, $TIMEOUT, $BUSY) = (1, 10, 2.5);    # seconds
my ($WINDOW, $SIZE) = (65_535, 1 << 20);      # a client that never says WINDOW_UPDATE gets no more than its window

my $s = eval {
    probe_server(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4,
            AsyncRequestWorkerFactor => 50 },
        modules => ['http2'], conf => "Protocols h2c http/1.1\nH2Direct on\nKeepAliveTimeout $KEPT\nTimeout $TIMEOUT\n",
    );
};
plan skip_all => 'no mod_http2' if !$s;
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
data_file($s, 'window.bin', $SIZE);

# How many of them have received so many bytes of the body.
my %bytes;
sub received {
    my ($bytes, @c) = @_;
    for my $c (@c) {
        1 while $c->_fill(time);
        $bytes{$c} += length $_->[3] for grep { $_->[0] == 0 } MPMTest::HTTP2::frames($c);
    }
    return scalar grep { ($bytes{$_} // 0) == $bytes } @c;
}

my @all = conns($s, 23);
my ($begin, @c) = (time, @all);
connect_h2($_, '/window.bin') for @all;
ok wait_until(sub { received($WINDOW, @all) == @all }, 5), '23 clients have received what their windows allow'
    or diag join ' ', values %bytes;
is $s->get('/index.html', within => 5)->{status}, 200, 'others are served on the 4 workers';

# When workers stay busy and others wait, connections that idle may go.
my @busy = conns($s, 4);
$_->request('/probe/sleep?ms=' . 1000 * $BUSY) for @busy;
sleep 0.2;
my ($new) = conns($s, 1);
$new->request('/index.html');
is scalar(grep { $_->response(10)->{status} == 200 } @busy, $new), 5, 'all workers were busy, longer than KeepAliveTimeout';
is scalar(grep { $_->eof_within(0) } @all), 0, 'none of the waiting ones has been closed';

my @opened = splice @c, 0, 3;
for my $c (@opened) { $c->send(MPMTest::HTTP2::frame(8, 0, $_, pack 'N', 2 * $SIZE)) for 0, 1 }
ok wait_until(sub { received($SIZE, @opened) == @opened }, 5), 'those that open their windows now get the rest'
    or diag join ' ', @bytes{@opened};

my $closed = close_times($begin + $TIMEOUT + 5 - time, @c);
is scalar keys %$closed, 20, 'the others are closed in the end';
my @after = sort { $a <=> $b } map { $_ - $begin } values %$closed;
cmp_ok $after[0],  '>=', $TIMEOUT,     sprintf 'not before Timeout is over: after %.1f s', $after[0];
cmp_ok $after[-1], '<',  $TIMEOUT + 3, sprintf 'the last one after %.1f s', $after[-1];

{
    my ($idle) = conns($s, 1);
    my $from = time;
    connect_h2($idle, '/index.html');
    my $end = wait_until { $idle->_fill(time); grep { $_->[0] == 0 && $_->[1] & 1 } MPMTest::HTTP2::frames($idle) } 5;
    ok $end, 'a connection whose stream has ended';
    ok $idle->eof_within(6), 'has KeepAliveTimeout';
    cmp_ok time - $from, '>', $KEPT - 0.1, 'for its time';
    cmp_ok time - $from, '<', $KEPT + 4, 'and no longer';
}
$s->stop;
undef $s;

done_testing;
