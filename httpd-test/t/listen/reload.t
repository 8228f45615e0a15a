# Reloads that add and remove Listen lines: what is kept is the same socket, what is added serves, what is removed
# refuses, and nobody's request is lost.
use strict;
use warnings;
use Test::More;
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 60, qw(beyond conns);

my ($kept, $removed, $added) = map { MPMTest::Server->free_port } 1 .. 3;

sub addresses { return [ map {"127.0.0.1:$_"} @_ ] }

# The listening sockets of 127.0.0.1: port => inode.
sub sockets {
    open my $fh, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";
    my %inode;
    while (my $line = <$fh>) { $inode{ hex $1 } = $2 if $line =~ /^\s*\d+: 0100007F:(\S+) 00000000:0000 0A (?:\S+ +){5}(\d+)/ }
    return \%inode;
}

sub server {
    my $s = MPMTest::Server->new(port => $kept, listen => addresses($kept, $removed), backend => 1,
        mpm => { StartServers => 2, ServerLimit => 8, ThreadsPerChild => 4, MaxRequestWorkers => 16 },
        conf => "KeepAliveTimeout 30\n");
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

sub served { my ($s, $port) = @_; return $s->get('/', port => $port, within => 5)->{status} }

for my $signal (qw(USR1 HUP)) {
    subtest "SIG$signal" => sub {
        my $s = server();
        my $before = sockets();
        is served($s, $_), 200, "port $_ is served" for $kept, $removed;
        $s->configure(listen => addresses($kept, $added));
        ok $s->graceful(signal => $signal), 'one port goes, another comes';
        is served($s, $_), 200, "port $_ is served" for $kept, $added;
        ok wait_until { !$s->open_conn(port => $removed, within => 1) } 5;
        my $after = sockets();
        is $after->{$kept}, $before->{$kept}, 'the kept one is the same socket';
        ok wait_until(sub { !sockets()->{$removed} }, 5), 'nobody listens on the removed one any more';

        $s->configure(listen => addresses($added, $removed, $kept));
        ok $s->graceful(signal => $signal), 'it comes back';
        is served($s, $_), 200, "port $_ is served" for $kept, $removed, $added;
        is sockets()->{$_}, $after->{$_}, 'the others are the same sockets, in whatever order' for $kept, $added;
        $s->ends_well;
    };
}

subtest 'connections over a graceful restart' => sub {
    my $s = server();
    my @idle = map { conns($s, 3, port => $_) } $kept, $removed;
    my @idle_status = map { $_->request('/'); $_->response(5)->{status} } @idle;
    is_deeply \@idle_status, [ (200) x 6 ], 'idle connections on both ports';
    my @slow = map { my $c = $s->open_conn(port => $_); $c->request('/hold/'); { conn => $c, held => $s->{backend}->take(5) } } $kept, $removed;
    is scalar(grep { $_->{held} } @slow), 2, 'and requests that are being served' or return;
    my $load = MPMTest::Load->new($s, [ { keepalive => 1, think => 0.002 }, { keepalive => 0, think => 0.001 } ], limit => 30);
    $s->configure(listen => addresses($kept, $added));
    $s->clear_log_mark;
    $s->signal('USR1');
    # They have a second from the moment in which the old children are told.
    ok wait_until(sub { $s->log_new =~ /AH00493.*AH00489/s }, 10, 0.005), 'the new configuration is in force';
    $_->request('/') for @idle;
    is scalar(grep { $_->response(5)->{status} == 200 } @idle), 6, beyond('the idle connections bring one more request');
    ok wait_until(sub { sockets()->{$added} }, 10), 'the new port is listened on';
    ok wait_until(sub { served($s, $added) == 200 }, 10), 'the added port is served';
    ok wait_until(sub { !$s->open_conn(port => $removed, within => 1) }, 10), 'the removed one refuses';
    is scalar($s->release(@slow)), 2, 'the requests of both ports are answered';
    ok $s->graceful, "restart $_" for 1 .. 3;
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 30, 'the kept port served all the time';
    is $count->{$_}, 0, $_ eq 'lost' ? beyond("$_: none") : "$_: none" for qw(lost refused bad partial late died);
    $s->ends_well;
};

done_testing;
