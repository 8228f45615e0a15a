# PR 60956: closing a connection whose peer had stopped reading blocked the thread that polls for all the others.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(async beyond conns data_file narrow_conns probe probe_server wait_until);

no warnings 'once';
plan skip_all => 'no IO::Socket::SSL' unless eval { require IO::Socket::SSL; 1 };

my ($TLS, $PLAIN, $TIMEOUT) = (8, 4, 4);
my ($tls, $plain, $kept) = map { MPMTest::Server->free_port } 1 .. 3;
my $dir = "$ENV{MPMTEST_WORK}/tls";
my %o = (
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8,
        AsyncRequestWorkerFactor => 20 },
    conf => <<"EOT",
Timeout 60
KeepAliveTimeout 60
SendBufferSize 8192
Listen 127.0.0.1:$tls
<VirtualHost 127.0.0.1:$tls>
    Timeout $TIMEOUT
    SSLEngine on
    SSLCertificateFile "$dir/cert.pem"
    SSLCertificateKeyFile "$dir/key.pem"
</VirtualHost>
Listen 127.0.0.1:$plain
<VirtualHost 127.0.0.1:$plain>
    Timeout $TIMEOUT
</VirtualHost>
Listen 127.0.0.1:$kept
<VirtualHost 127.0.0.1:$kept>
    KeepAliveTimeout 1
</VirtualHost>
EOT
);
my $s = eval { probe_server(%o, modules => ['ssl']) } or plan skip_all => "no mod_ssl: $@";
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my @children = $s->children;

# More than the socket buffers take, and less than the 64 KiB that httpd keeps before its writing blocks.
data_file($s, 'stuck.bin', 60_000);

# The end of a TLS connection has something to send itself, behind what the peer does not read.
my @stuck;
for (1 .. $TLS) {
    my ($c) = narrow_conns($s, 1, port => $tls, buffer => 4096);
    $c->sock->blocking(1);
    IO::Socket::SSL->start_SSL($c->sock, SSL_verify_mode => 0) or die "TLS: $IO::Socket::SSL::SSL_ERROR\n";
    $c->sock->blocking(0);
    $c->request('/stuck.bin');
    push @stuck, $c;
}
for my $c (narrow_conns($s, $PLAIN, port => $plain, buffer => 4096)) { $c->request('/stuck.bin'); push @stuck, $c }
my $begin = time;
my $count;
ok wait_until(sub { ($count = async($s))->{writing} == @stuck }, 3),
    beyond(@stuck . ' peers have stopped reading: the rest of their responses waits in write completion')
    or diag explain $count;

# Until all of them have been closed: requests are answered, timers fire, and keep-alives expire.
my $batch = probe($s, 'timers?n=60&ms=100&spread=6000')->{batch};
my ($requests, $answered, $worst, $late, $looked, @idle) = (0, 0, 0, 0, 0);
while (1) {
    my $now = time;
    $requests++;
    $answered++ if $s->get('/index.html', within => 5)->{status} == 200;
    $worst = time - $now if time - $now > $worst;
    for my $i (grep { $_->{conn}->eof_within(0) } @idle) {
        my $took = time - $i->{since};
        $late = $took - 1 if $took - 1 > $late;
        $i->{conn}->close;
    }
    @idle = grep { $_->{conn}->sock } @idle;
    next if time < $looked + 0.1;
    $looked = time;
    my $since = time - $begin;
    last if $since > 15 || $since > $TIMEOUT + 0.5 && !grep { $count->{$_} } qw(writing closing);
    $count = async($s);
    my ($c) = conns($s, 1, port => $kept);
    $c->request('/index.html');
    push @idle, { conn => $c, since => time } if $c->response(5)->{status} == 200;
}
my $after = time - $begin;
is_deeply [ @$count{qw(writing closing)} ], [ 0, 0 ], beyond(sprintf 'they are closed, the last after %.1f s', $after)
    or diag explain $count;
is $answered, $requests, "meanwhile $requests requests are answered";
cmp_ok $worst, '<', 1.5, beyond(sprintf 'promptly, %.3f s at worst', $worst);
my $fired;
wait_until { $fired = probe($s, "timers/result?batch=$batch"); $fired->{fired} == 60 } 8;
is $fired->{fired}, 60, 'timers fire';
cmp_ok $fired->{late_max_us}, '<', 1_500_000, beyond("in time, $fired->{late_max_us} us late at worst");
cmp_ok $late, '<', 3, sprintf 'the KeepAliveTimeout of others holds, exceeded by %.3f s at worst', $late;
is_deeply [ $s->children ], \@children, 'by the same child';
$_->close for @stuck;
$s->ends_well;
undef $s;

done_testing;
