# r1883096: a child at its connection limit, its workers idle, closed all of its keep-alive connections.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Test within => 40, qw(conns close_times);
use MPMTest::Server;

my ($THREADS, $FACTOR) = (10, 2);
my $LIMIT = $THREADS + $FACTOR * $THREADS;    # connections, while all workers are idle

my $s = MPMTest::Server->new(
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS,
        AsyncRequestWorkerFactor => $FACTOR },
    conf => "KeepAliveTimeout 60\n", loglevel => 'info ' . MPMTest::Server::mpm_name() . ':trace1',
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

my (@kept, $served);
while (@kept < $LIMIT) {
    my ($c) = conns($s, 1);
    $c->request('/index.html');
    $served++ if $c->response(5)->{status} == 200;
    push @kept, $c;
    $s->at_rest;    # the worker is idle again
}
is $served, $LIMIT, "$LIMIT connections, all workers idle";
my @more = conns($s, 10);
$_->request('/index.html') for @more;
ok $s->log_like(qr/Too many open connections \($LIMIT\)/, 5), "the next finds $LIMIT connections and has to wait";

# The listener goes round, too, while one of them is in use.
my $answered = 0;
for (1 .. 30) {
    $kept[0]->request('/index.html');
    $answered++ if $kept[0]->response(5)->{status} == 200;
    sleep 0.1;
}
is $answered, 30, 'one of the connections is in use for 3 s';
is scalar keys %{ close_times(0.2, @kept) }, 0, 'none of them has been closed';
unlike $s->log_new, qr/will shutdown \d+ keep-alive connections/, 'nor was any to be';
is scalar(grep { length $_->buffered || $_->_fill(0) } @more), 0, 'the others still wait';
is scalar(grep { $_->request('/index.html') && $_->response(5)->{status} == 200 } @kept), $LIMIT, 'each kept one serves another request';

$_->close for splice @kept, 0, 20;
is scalar(grep { $_->response(5)->{status} == 200 } @more), 10, 'when clients go, the waiting ones are served';
$s->ends_well;
undef $s;

done_testing;
