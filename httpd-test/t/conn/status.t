# mod_status: the async columns tell within a second what connections there are, and go back to nothing.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(beyond probe_server conns narrow_conns data_file wait_until async_becomes async_conf);

my $port = MPMTest::Server->free_port;
my $s = probe_server(
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 16, MaxRequestWorkers => 16,
        AsyncRequestWorkerFactor => 20 },
    conf => async_conf($port),
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my $WAITIO = exists $s->status->{ConnsAsyncWaitIO};
data_file($s, 'status.bin', 8 << 20);

sub shows { local $Test::Builder::Level = $Test::Builder::Level + 1; return async_becomes($s, @_) }

shows(beyond('nothing but the request for the status'), total => 0, waitio => $WAITIO ? 0 : -1, writing => 0, keepalive => 0,
    closing => 0, busy => 1, idle => 15);

my @kept = conns($s, 20);
for my $c (@kept) { $c->request('/index.html'); $c->response(5) }
shows(beyond('20 idle keep-alive connections'), total => 20, keepalive => 20, writing => 0, closing => 0, busy => 1);

my @slow = narrow_conns($s, 5);
$_->request('/status.bin') for @slow;
shows(beyond('5 that do not read'), total => 25, keepalive => 20, writing => 5, closing => 0, busy => 1);

my @closing = conns($s, 3);
for my $c (@closing) {
    $c->request('/limited/probe/digest', method => 'POST', headers => { 'Content-Length' => 100_000 });
    $c->response(5);
}
shows(beyond('3 in lingering close'), total => 28, keepalive => 20, writing => 5, closing => 3);

my @waiting;
SKIP: {
    skip 'no wait-I/O state in this httpd', 1 if !$WAITIO;
    @waiting = conns($s, 4, port => $port);
    for my $c (@waiting) { $c->send("hello\n"); $c->_fill(Time::HiRes::time() + 5) }
    shows(beyond('4 that wait for I/O'), total => 32, keepalive => 20, writing => 5, closing => 3, waitio => 4);
}

my @busy = conns($s, 3);
$_->request('/probe/sleep?ms=4000') for @busy;
shows('3 at work', busy => 4);
$_->response(10) for @busy;
$_->close for @busy, @waiting, splice @kept, 0, 10;
shows(beyond('half of the idle ones go, and those'), total => 18, keepalive => 10, writing => 5, closing => 3, busy => 1);

my $row;
ok wait_until(
    sub { ($row) = $s->processes; "$row->{keep_alive} $row->{writing} $row->{closing} $row->{connections}" =~ /^10 5 3 (?:18|19)$/ }, 3),
    beyond('the table of processes says the same, and how many connections there are') or diag explain $row;
is $row->{accepting}, 'yes', 'and that the child accepts';

$_->reset for @slow, @closing;
$_->close for @kept;
shows(beyond('all gone'), total => 0, waitio => $WAITIO ? 0 : -1, writing => 0, keepalive => 0, closing => 0, busy => 1);

undef $s;
done_testing;
