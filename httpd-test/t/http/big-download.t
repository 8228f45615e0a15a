# 50 MB, as a file and as a stream, to one reader and to several; every byte counts.
use strict;
use warnings;
use Digest::MD5 ();
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 120, qw(shared conns data_file);

my $s    = shared();
my $SIZE = 50 << 20;
my $want = data_file($s, 'big.bin', $SIZE);

# Reads a response with a length to its end without keeping it; ($bytes, $md5, seconds), pausing now and then.
sub digest_response {
    my ($c, $pause) = @_;
    my $begin = time;
    $c->_fill($begin + 10) until $c->{in} =~ /\r\n\r\n/ || $c->{eof};
    $c->{in} =~ s/^(.*?)\r\n\r\n//s;
    my ($left) = $1 =~ /Content-Length: (\d+)/i;
    my ($bytes, $md5, $reads) = (0, Digest::MD5->new, 0);
    while ($left > 0) {
        $c->_fill(time + 10) or last if !length $c->{in};
        my $data = substr $c->{in}, 0, $left, '';
        $left  -= length $data;
        $bytes += length $data;
        $md5->add($data);
        sleep 0.05 if $pause && ++$reads % 200 == 0;
    }
    return ($bytes, $md5->hexdigest, time - $begin);
}

{
    my ($c) = conns($s, 1);
    for my $round (1, 2) {
        $c->request('/big.bin');
        my ($bytes, $md5) = digest_response($c);
        is $bytes, $SIZE, "round $round on one connection: 50 MB";
        is $md5,   $want, 'all right';
    }
    $c->request('/big.bin');
    is_deeply [(digest_response($c, 1))[0, 1]], [$SIZE, $want], 'to a reader that pauses';
    $c->request('/index.html');
    is $c->response(5)->{status}, 200, 'the connection goes on';
}

{
    my ($c) = conns($s, 1);
    $c->request("/probe/bytes?n=$SIZE&length=1");
    my $block = join '', map { chr($_ & 127) } 0 .. 16_383;
    my $md5 = Digest::MD5->new;
    $md5->add($block) for 1 .. $SIZE / 16_384;
    is_deeply [(digest_response($c))[0, 1]], [$SIZE, $md5->hexdigest], '50 MB written by a handler';
    $c->request('/probe/bytes?n=5000000');
    my $r = $c->response(10);
    is $r->{headers}{'transfer-encoding'}, 'chunked', 'and 5 MB of which it does not know the length';
    is length $r->{body}, 5_000_000, 'all of them';
}

{
    my @c = conns($s, 4);
    $_->request('/big.bin') for @c;
    my @got = map { join ' ', (digest_response($_))[0, 1] } @c;
    is_deeply \@got, [("$SIZE $want") x 4], 'four downloads, read one after the other';
}

{
    my ($c) = conns($s, 1);
    $c->request('/big.bin');
    $c->_fill(time + 5);
    $c->reset;
    ok $s->get('/index.html')->{status} == 200, 'a client that resets in the middle harms nobody';
}

done_testing;
