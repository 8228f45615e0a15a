# HTTP/2 without TLS: 20 connections x 10 streams, big files, the upgrade from HTTP/1.1, secondary connections.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(beyond shared data_file fields wait_until conns is_stock);
use MPMTest::HTTP2 qw(have_h2 h2load nghttp);

my $s = shared();
plan skip_all => 'no mod_http2'      unless $s->has_module('http2');
plan skip_all => 'no h2load, nghttp' unless have_h2();

my $base = 'http://127.0.0.1:' . $s->port('h2c');
my @before = sort map { $_->{pid} } $s->processes;

for my $path ('/index.html', '/probe/bytes?n=3000') {
    my $r = h2load(qw(-n 2000 -c 20 -m 10), "$base$path");
    is $r->{succeeded}, 2000, beyond("$path: 2,000 of 2,000 on 20 connections x 10 streams") or diag $r->{out};
    is $r->{'2xx'}, 2000, beyond('all of them 200');
}

{
    my $r = h2load(qw(-n 200 -c 50 -m 4), "$base/probe/sleep?ms=20");
    is $r->{succeeded}, 200, beyond('50 connections on 8 workers, each request 20 ms') or diag $r->{out};
}

{
    data_file($s, 'h2.bin', 3 << 20);
    my $r = h2load(qw(-n 40 -c 4 -m 10), "$base/h2.bin");
    is $r->{succeeded}, 40, beyond('40 files of 3 MB') or diag $r->{out};
}

{
    my $out = nghttp('-u', "$base/probe/conn");
    like $out, qr/^pid: \d+$/m, 'upgraded from HTTP/1.1';
    $out = nghttp("$base/probe/conn");
    my $f = fields($out);
    is "$f->{secondary} $f->{cs} $f->{current_thread}", '1 1 1', 'a stream is a connection with its own state and a thread'
        or diag $out;
}

SKIP: {
    skip 'no resume function', 1 if is_stock();
    like nghttp("$base/probe/resume"), qr/^resume: EINVAL$/m, 'a stream cannot be resumed as if it were the MPM\'s';
}

{
    my ($c) = conns($s, 1, port => $s->port('h2c'));
    $c->request('/index.html');
    is $c->response(5)->{status}, 200, 'HTTP/1.1 on the same port';
}

ok wait_until(sub { my @now = sort map { $_->{pid} } $s->processes; "@now" eq "@before" }, 5), 'no child had to be replaced';

done_testing;
