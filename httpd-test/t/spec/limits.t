# MaxRequestWorkers requests are served at a time, by MaxRequestWorkers / ThreadsPerChild processes; others wait in the
# listen queue, up to ListenBacklog, and are served in their turn.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(conns wait_until);
use MPMTest::Server;

my $s = MPMTest::Server->new(
    mpm => { StartServers => 1, ServerLimit => 8, ThreadsPerChild => 2, MaxRequestWorkers => 6, MinSpareThreads => 1,
        MaxSpareThreads => 100, ListenBacklog => 5 },
    backend => 1, conf => "KeepAlive Off\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

my @busy = $s->holds(6);
is scalar @busy, 6, 'six requests at a time with MaxRequestWorkers 6';
ok wait_until(sub { $s->children == 3 }, 3), 'MaxRequestWorkers / ThreadsPerChild: three processes, ServerLimit is 8';

my @waiting = conns($s, 4);
$_->request('/hold/') for @waiting;
ok !$s->{backend}->take(2.5), 'no other one is served';
is scalar($s->children), 3, 'nor is there another process for it';
is scalar(grep { $_->eof_within(0) } @waiting), 0, 'those that came wait';

# On Linux a listen queue holds one more than it was asked to.
my @crowd = grep {$_} map { $s->open_conn(within => 0.3) } 1 .. 20;
cmp_ok scalar @crowd, '<', 20, 'ListenBacklog 5: the kernel does not let any number of others wait';
$_->close for @crowd;

is $s->release(@busy), 6, 'the six are answered';
my @late = map { $s->{backend}->take(10) } @waiting;
is scalar(grep {$_} @late), 4, 'then those that waited are served';
$s->{backend}->answer($_) for grep {$_} @late;
is scalar(grep { $_->response(10)->{status} == 200 } @waiting), 4, 'and answered';
$s->stop;
undef $s;

done_testing;
