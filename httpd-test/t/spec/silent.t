# Clients that connect and say nothing hold no worker, however many they are.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 30, qw(async conns probe_server wait_until);

my $s = probe_server(
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4,
        AsyncRequestWorkerFactor => 50 },
    conf => "KeepAliveTimeout 60\nTimeout 60\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

my @silent = conns($s, 40);
my ($worst, $good) = (0, 0);
for (1 .. 30) {
    my $begin = time;
    $good++ if $s->get('/index.html', within => 5)->{status} == 200;
    $worst = time - $begin if time - $begin > $worst;
}
is $good, 30, '40 silent clients and 4 workers: others are served';
cmp_ok $worst, '<', 4, sprintf 'promptly: %.3f s at worst', $worst;
ok wait_until(sub { async($s)->{busy} == 1 }, 5), 'no worker is busy with the silent ones';
$_->request('/index.html') for @silent;
is scalar(grep { $_->response(10)->{status} == 200 } @silent), 40, 'when they speak they are answered';
$s->stop;
undef $s;

done_testing;
