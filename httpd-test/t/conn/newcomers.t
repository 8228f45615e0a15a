# Newcomers: a child whose workers are kept going by short requests has room for them, but for no more than it has workers.
use strict;
use warnings;
use POSIX qw(WNOHANG);
use Test::More;
use MPMTest::HTTP2 qw(have_h2);
use MPMTest::Server;
use MPMTest::Test within => 120, qw(wait_until probe_server conns);

plan skip_all => 'h2load is missing' unless have_h2();

my ($THREADS, $CLIENTS, $REQUESTS, $NEWCOMERS) = (25, 64, 150_000, 75);

# No logs, no status: what a request costs decides how many workers 64 of them keep busy.
my $s = MPMTest::Server->new(
    headless => 1, loglevel => 'info',
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS,
        AsyncRequestWorkerFactor => 20 },
    conf => "MaxKeepAliveRequests 0\nKeepAliveTimeout 60\nExtendedStatus Off\nTypesConfig /dev/null\n",
);
$s->configure(conf => $s->{conf} . 'DocumentRoot "' . $s->htdocs . qq{"\n});
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# On one core the child finds more than $THREADS requests each time it polls.
my @cores = `taskset -cp $$ 2>/dev/null` =~ /([\d,-]+)$/ ? $1 =~ /(\d+)/g : ();
my @apart = @cores > 1 ? ('taskset', '-c', $cores[-1]) : ();
system "taskset -acp $cores[0] $_ >/dev/null 2>&1" for @cores ? $s->members : ();

my $load = open my $out, '-|', 'timeout', 60, @apart, 'h2load', '--h1', '-t1', "-c$CLIENTS", "-n$REQUESTS", $s->url('/index.html')
    or die "h2load: $!";
# Local address and state (01: established) of each connection.
my $mine = sprintf '^[0-9A-F]+:%04X 01$', $s->port;
my $connections = sub {
    return scalar grep {/$mine/} map { join ' ', (split)[1, 3] } `cat /proc/net/tcp`;
};
ok wait_until(sub { $connections->() >= $CLIENTS }, 10), "$CLIENTS clients are connected";

my $served = 0;
for (1 .. $NEWCOMERS) {
    $served++ if $s->get('/index.html', within => 20)->{status} == 200;
    last if waitpid($load, WNOHANG) != 0;
}
is $served, $NEWCOMERS, 'newcomers are served while they go on';
my ($succeeded) = join('', <$out>) =~ /(\d+) succeeded/;
is $succeeded, $REQUESTS, 'and no request of theirs fails';

$s->stop;

# How short requests were doesn't tell how long those of newcomers take.
my $p = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4, AsyncRequestWorkerFactor => 20 },
    conf => "KeepAliveTimeout 60\n",
);
$p->start or BAIL_OUT('the server does not start: ' . $p->console_text);
$p->get('/index.html') for 1 .. 100;
$p->at_rest;
my ($child) = $p->children;
my $before = $p->fds($child);
kill STOP => $child;
wait_until { !grep { !/\) T / } map { $p->slurp($_) // ') T ' } glob "/proc/$child/task/*/stat" } 5;
my @burst = conns($p, 12);
$_->request('/probe/sleep?ms=4000') for @burst;
$p->clear_log_mark;
kill CONT => $child;
ok $p->log_like(qr/All workers busy/, 5), 'twelve at once keep four workers busy';
is $p->fds($child) - $before, 4, 'and the others are left to other processes';
is scalar(grep { $_->response(40)->{status} == 200 } @burst), 12, 'or wait for their turn';

done_testing;
