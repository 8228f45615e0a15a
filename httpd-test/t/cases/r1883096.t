# r1883096: a child at its connection limit, its workers idle, closed all of its keep-alive connections. Only as many make room as
# newcomers wait.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 40, qw(beyond conns close_times);
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
my $asked = time;
$_->request('/index.html') for @more;
ok $s->log_like(qr/Too many open connections \($LIMIT\)/, 5), "the next finds $LIMIT connections and has to wait";

# The listener goes round, too, while one of them is in use.
my ($answered, $closing) = (0, 0);
for (1 .. 20) {
    $kept[-1]->request('/index.html');
    my $r = $kept[-1]->response(5);
    $answered++ if $r->{status} == 200;
    last if $closing = ($r->{headers}{connection} // '') =~ /close/i;
    sleep 0.05;
}
cmp_ok $answered, '>=', 1, 'one of the connections is in use';
is scalar(grep { $_->response(5)->{status} == 200 } @more), 10, beyond('who waits is served');
my $took = time - $asked;
cmp_ok $took, "<", 3, sprintf "soon: %.2f s", $took;
my $gone = close_times(0.5, @kept);
cmp_ok scalar keys %$gone, '<=', 10, 'for each of them one makes room at most';
unlike $s->log_new, qr/will shutdown \d+ keep-alive connections/, 'none is closed for want of workers';
my @left = @kept[ grep { !exists $gone->{$_} } 0 .. $#kept - 1 ];
cmp_ok scalar(@left), '>=', 19, 'the others are kept';
is scalar(grep { $_->request('/index.html') && $_->response(5)->{status} == 200 } @left), scalar @left, 'each of these serves another request';
$s->ends_well;
undef $s;

done_testing;
