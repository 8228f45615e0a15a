# r1874277: a keep-alive connection was closed up to 0.1 s before its KeepAliveTimeout was over.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Test within => 40, qw(probe_server conns close_times);

my @TIMEOUTS = (100, 1000, 1050, 1333);    # ms
my $LATE     = 3;                          # seconds: how late does not matter here

my %port = map { $_ => MPMTest::Server->free_port } @TIMEOUTS;
my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8,
        AsyncRequestWorkerFactor => 100 },
    conf => join '', map {"Listen 127.0.0.1:$port{$_}\n<VirtualHost *:$port{$_}>\nKeepAliveTimeout ${_}ms\n</VirtualHost>\n"}
        @TIMEOUTS,
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# The fault depended on where in the server's tenths of a second a connection began: so many begin, $apart seconds apart.
my %verdicts;
sub batch {
    my ($apart, @timeouts) = @_;
    my @c;
    for my $timeout (@timeouts) {
        my ($c) = conns($s, 1, port => $port{$timeout});
        $c->request('/index.html');
        $c->response(5)->{status} == 200 or BAIL_OUT('no answer');
        push @c, $c;
        sleep $apart;
    }
    my $closed = close_times(6, @c);
    $verdicts{ $timeouts[$_] }{ $c[$_]->fits($closed->{$_}, $timeouts[$_] / 1000, $LATE) }++ for 0 .. $#c;
    return;
}

batch(0.0031, (1000, 1050, 1333) x 20) for 1 .. 3;
batch(0.0007, (100) x 5) for 1 .. 12;    # few at a time: the ends are to be seen when they come

is_deeply $verdicts{$_}, { 'in time' => 60 }, "KeepAliveTimeout ${_}ms: never early" for @TIMEOUTS;
$s->stop;
undef $s;

done_testing;
