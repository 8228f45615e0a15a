# WebSocket tunnels of mod_proxy_wstunnel and mod_proxy_http: both ways, idle, many, to the end of either side, over restarts.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Peer;
use MPMTest::Test within => 90, qw(conns shared wait_until md5);
use MPMTest::Restarts qw(over_restarts);

for my $name (qw(proxy proxy_http proxy_wstunnel)) { plan skip_all => "no mod_$name" unless shared()->has_module($name) }

# Takes the handshake and sends back what it gets; "bye" makes it close. A proxy does not look into the frames.
my $peer = MPMTest::Peer->new(sub {
    my ($sock) = @_;
    my $head = '';
    until ($head =~ /\r\n\r\n/) { sysread $sock, $head, 1, length $head or return }
    MPMTest::Peer::put($sock, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    while (sysread $sock, my $data, 65_536) {
        return if $data =~ /bye$/;
        MPMTest::Peer::put($sock, $data);
    }
    return;
});

my $WORKERS = 16;
my $s = MPMTest::Server->new(
    modules => [qw(proxy proxy_http proxy_wstunnel)],
    mpm  => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 8, MaxRequestWorkers => $WORKERS, MinSpareThreads => 16,
        MaxSpareThreads => 48, AsyncRequestWorkerFactor => 8 },
    conf => <<"EOT",
Timeout 1
KeepAliveTimeout 1
ProxyTimeout 60
ProxyWebsocketFallbackToProxyHttp Off
ProxyPass "/wstunnel" "ws://127.0.0.1:@{[ $peer->port ]}/"
ProxyPass "/http" "http://127.0.0.1:@{[ $peer->port ]}/" upgrade=websocket
EOT
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

sub ask { my ($path, $c) = @_; return $c->request($path, headers => { Upgrade => 'websocket', Connection => 'Upgrade' }) }

# That many connections with a tunnel each.
sub tunnels {
    my ($path, $n) = @_;
    my @c = conns($s, $n);
    ask($path, $_) for @c;
    return grep { $_->response(10)->{status} == 101 } @c;
}

sub echoes {
    my ($c, $text) = @_;
    $c->send($text);
    wait_until { $c->_fill(Time::HiRes::time() + 0.2); length $c->{in} >= length $text } 10;
    my $got = $c->{in};
    $c->{in} = '';
    return $got eq $text;
}

sub busy { my ($n) = @_; return wait_until { ($s->status->{BusyWorkers} // 0) == $n } 5 }

sub check {
    my ($when) = @_;
    for my $path (qw(/wstunnel /http)) {
        my @c = tunnels($path, 5);
        is scalar(@c), 5, "$path: five tunnels, $when";
        is scalar(grep { echoes($_, "frame $_") } @c), 5, "$path: both ways, $when";
        ok echoes($c[0], join '', map { sprintf "%09d\n", $_ } 1 .. 10_000), "$path: 100 kB both ways, $when";
        $c[0]->close;
        $c[1]->send('bye');
        ok $c[1]->eof_within(5), "$path: the peer's end ends the connection, $when";
        is scalar(grep { echoes($_, 'still there') } @c[ 2 .. 4 ]), 3, "$path: and no other, $when";
        $_->close for @c;
    }
    return;
}

over_restarts($s, check => \&check, old_gone => 1, clients => [ { keepalive => 1, think => 0.005 }, { keepalive => 0, think => 0.01 } ]);

# A tunnel holds a worker in httpd 2.4, with each of its MPMs.
for my $path (qw(/wstunnel /http)) {
    my @c = tunnels($path, 6);
    ok busy(1 + 6), "$path: six tunnels are counted" or diag $s->status->{BusyWorkers};
    sleep 2.5;
    is scalar(grep { !$_->eof_within(0) && echoes($_, 'after a while') } @c), 6, "$path: Timeout and KeepAliveTimeout do not end them";
    $_->close for @c;
    ok busy(1), "$path: when they have ended, none is" or diag $s->status->{BusyWorkers};
}

# More tunnels than workers: each gets its turn.
{
    my @waiting = conns($s, 50);
    ask('/http', $_) for @waiting;
    my ($done, $most) = (0, 0);
    my $end = Time::HiRes::time() + 30;
    while (@waiting && Time::HiRes::time() < $end) {
        my @open = grep { $_->_fill(Time::HiRes::time()); $_->{in} =~ /^HTTP\/1.1 101 .*\r\n\r\n/s } @waiting;
        if (!@open) { sleep 0.02; next }
        $most = @open if @open > $most;
        for my $c (@open) { $c->response; $done++ if echoes($c, 'my turn'); $c->close }
        my %gone = map { $_ => 1 } @open;
        @waiting = grep { !$gone{$_} } @waiting;
    }
    is $done, 50, "50 tunnels on $WORKERS workers: each gets its turn";
    cmp_ok $most, '<=', $WORKERS, "never more than there are workers: $most";
}

{
    my %old = map { $_ => 1 } $s->children;
    my @c = tunnels('/wstunnel', 2);
    ok $s->graceful, 'graceful restart';
    is scalar(grep { echoes($_, 'over a restart') } @c), 2, 'a graceful restart lets tunnels go on';
    ok grep({ $old{$_} } $s->children), 'in the old child';
    $_->close for @c;
    ok wait_until(sub { !grep { $old{$_} } $s->children }, 10), 'which ends with them';
}
$s->ends_well;
undef $s;

done_testing;
