# A connection that ALPN gives to HTTP/2 has the KeepAliveTimeout of the virtual host that the TLS handshake named, though
# no request on it is the MPM's to see. (After Upgrade, httpd keeps no idle connection.)
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Certificate ();
use MPMTest::HTTP2 qw(connect_h2);
use MPMTest::Test within => 40, qw(conns wait_until);

plan skip_all => 'no IO::Socket::SSL' unless eval { require IO::Socket::SSL; 1 };
my $tls_port = MPMTest::Server->free_port;
my $s = MPMTest::Server->new(
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4 },
);
for my $name (qw(ssl http2)) { plan skip_all => "no mod_$name" unless $s->has_module($name) }
MPMTest::Certificate::write_to($s->dir . '/tls') or die "no certificate\n";

my ($cert, $key) = map { $s->dir . "/tls/$_.pem" } qw(cert key);
# The first host of the address keeps connections for long.
$s->configure(modules => [qw(ssl http2)], conf => join '', "Listen 127.0.0.1:$tls_port\nTimeout 30\nKeepAliveTimeout 30\n", map {<<"EOT"} [ long => 30 ], [ short => 1 ]);
<VirtualHost 127.0.0.1:$tls_port>
    ServerName $_->[0].test
    KeepAliveTimeout $_->[1]
    Protocols h2 http/1.1
    SSLEngine on
    SSLCertificateFile "$cert"
    SSLCertificateKeyFile "$key"
</VirtualHost>
EOT
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# Has that stream ended?
sub ended {
    my ($c, $stream) = @_;
    return wait_until { $c->_fill(time + 0.1); grep { $_->[1] & 1 && $_->[2] == $stream } MPMTest::HTTP2::frames($c) } 5;
}

sub negotiated {
    my ($host) = @_;
    my ($c) = conns($s, 1, port => $tls_port, tls => { SSL_hostname => "$host.test", SSL_alpn_protocols => ['h2'] });
    is $c->sock->alpn_selected, 'h2', "ALPN to h2 for $host.test";
    $c->{asked} = time;
    connect_h2($c, '/index.html');
    return $c;
}

my ($short, $long) = map { negotiated($_) } qw(short long);
ok ended($_, 1), 'a request is answered' for $long, $short;
my $since = time;
ok $short->eof_within(15), 'the one is closed';
my $closed = time;
cmp_ok $closed - $short->{asked}, '>', 0.9, 'not before its KeepAliveTimeout of 1 s';
cmp_ok $closed - $since, '<', 8, sprintf 'but soon after it: %.2f s', $closed - $since;
ok !$long->eof_within(0.5), 'the other, whose KeepAliveTimeout is 30 s, is not';
$_->close for $short, $long;
$s->ends_well;

done_testing;
