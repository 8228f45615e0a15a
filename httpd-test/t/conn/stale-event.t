# A thread finds that a connection has input, and is held up; meanwhile another one reads that input, answers, and the connection
# idles again. The event is stale then, and must not count as the next request: it would hold a worker until Timeout.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 60, qw(async conns probe probe_server wait_until);

my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8 },
    conf => "Timeout 20\nKeepAliveTimeout 5\n",
    env  => { LD_PRELOAD => $ENV{MPMTEST_PROBE} },
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my @c = conns($s, 4);
is scalar(grep { $_->request('/index.html'); $_->response(5)->{status} == 200 } @c), 4, 'idle connections';
like $s->get('/probe/kernel?found_delay=60000')->{body}, qr/^as you say/, 'who finds events is held up for 60 ms';

# The head brings a worker, the body comes while it reads: for both there is an event.
for my $c (@c) {
    $c->send("POST /probe/digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n");
    sleep 0.09;    # the head has been found, by the one who is held up, and the body has not been sent
    $c->send('hello');
}
is scalar(grep { $_->response(5)->{status} == 200 } @c), 4, 'requests in two parts are answered';
like $s->get('/probe/kernel')->{body}, qr/^as you say/, 'nobody is held up any more';
ok wait_until(sub { async($s)->{keepalive} >= 4 }, 2), 'the connections idle again' or diag explain async($s);
my $from = time;
is scalar(grep { $_->eof_within($from + 10 - time) } @c), 4, 'and are closed after KeepAliveTimeout, not Timeout';
$s->stop;

done_testing;
