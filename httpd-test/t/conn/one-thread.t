# Children of one thread each that compete for connections: none of them loses its only worker to an accept that fails.
use strict;
use warnings;
use IO::Select;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(conns);
use MPMTest::Server;

my $s = MPMTest::Server->new(
    mpm => { StartServers => 8, ServerLimit => 8, ThreadsPerChild => 1, MaxRequestWorkers => 8,
        MinSpareThreads => 1, MaxSpareThreads => 8 },
    conf => "KeepAlive Off\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

my $SECONDS = 4;
my $CLIENTS = 4;
my $end = time + $SECONDS;
my ($good, $bad, $worst) = (0, 0, 0);
my @at_work = map { start() } 1 .. $CLIENTS;

sub start {
    my ($c) = conns($s, 1);
    $c->request('/index.html');
    return { c => $c, since => time };
}

while (time < $end) {
    my $select = IO::Select->new(map { $_->{c}->sock } @at_work);
    my %ready = map { fileno $_ => 1 } $select->can_read(1);
    for my $w (grep { $ready{ fileno $_->{c}->sock } } @at_work) {
        $w->{c}->response(2)->{status} == 200 ? $good++ : $bad++;
        my $took = time - $w->{since};
        $worst = $took if $took > $worst;
        $w->{c}->close;
        %$w = %{ start() };
    }
}
my @stuck = grep { $_->{c}->response(3)->{status} != 200 } @at_work;
is scalar @stuck, 0, "$CLIENTS clients for $SECONDS s, a connection for each request: nobody waits for ever";
is $bad, 0, "$good answered, none failed";
cmp_ok $worst, '<', 3, sprintf 'the slowest took %.3f s', $worst;
$s->stop;
undef $s;

done_testing;
