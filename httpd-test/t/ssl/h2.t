# HTTP/2 over TLS: 20 connections x 10 streams.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(beyond shared data_file wait_until);
use MPMTest::HTTP2 qw(have_h2 h2load nghttp);

my $s = shared();
plan skip_all => 'no mod_http2'      unless $s->has_module('http2') && $s->has_module('ssl');
plan skip_all => 'no h2load, nghttp' unless have_h2();

my $base = 'https://localhost:' . $s->port('ssl');
my @before = sort map { $_->{pid} } $s->processes;

my $r = h2load(qw(-n 2000 -c 20 -m 10), "$base/index.html");
is $r->{succeeded}, 2000, beyond('2,000 of 2,000') or diag $r->{out};
like $r->{out}, qr/^Application protocol: h2$/m, 'over h2';

data_file($s, 'h2tls.bin', 2 << 20);
$r = h2load(qw(-n 40 -c 4 -m 10), "$base/h2tls.bin");
is $r->{succeeded}, 40, beyond('40 files of 2 MB') or diag $r->{out};

$r = h2load(qw(-n 400 -c 20 --h1), "$base/index.html");
is $r->{succeeded}, 400, beyond('HTTP/1.1 over TLS by the same client') or diag $r->{out};

like nghttp('--no-verify', "$base/probe/conn"), qr/^secondary: 1$/m, 'a stream is a connection of its own';
ok wait_until(sub { my @now = sort map { $_->{pid} } $s->processes; "@now" eq "@before" }, 5), 'no child had to be replaced';

done_testing;
