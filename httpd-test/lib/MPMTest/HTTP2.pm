package MPMTest::HTTP2;

# HTTP/2 for tests: the programs of nghttp2, and as much of the protocol as a client needs that does not read.

use strict;
use warnings;

use Exporter 'import';
use File::Spec ();
use Time::HiRes qw(time);

our @EXPORT_OK = qw(have_h2 h2load nghttp connect_h2);

sub have_h2 {
    my @path = File::Spec->path;
    return !grep { my $name = $_; !grep { -x "$_/$name" } @path } qw(h2load nghttp);
}

# Runs h2load: { total, succeeded, failed, errored, done, '2xx', out }.
sub h2load {
    my (@args) = @_;
    my $command = join ' ', map {"'$_'"} 'timeout', 60, 'h2load', @args;
    my $out = `$command 2>&1`;
    my %r = (out => $out);
    @r{qw(total started done succeeded failed errored timeout)} = $out
        =~ /^requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/m;
    ($r{'2xx'}) = $out =~ /^status codes: (\d+) 2xx/m;
    return \%r;
}

# What nghttp prints.
sub nghttp {
    my (@args) = @_;
    my $command = join ' ', map {"'$_'"} 'timeout', 30, 'nghttp', @args;
    return scalar `$command 2>&1`;
}

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}

# A literal header field whose name is in the static table, neither indexed nor Huffman-coded.
sub field { my ($index, $value) = @_; return pack('C', $index) . pack('C', length $value) . $value }

# Starts an h2c connection (prior knowledge) on a MPMTest::Conn and asks for $path.
sub connect_h2 {
    my ($conn, $path) = @_;
    my $request = "\x82\x86" . field(4, $path) . field(1, 'localhost');    # :method GET, :scheme http, :path, :authority
    return $conn->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '') . frame(1, 5, 1, $request));
}

# The frames that have arrived, taken out of the connection's buffer: ([type, flags, stream, payload], ...).
sub frames {
    my ($conn) = @_;
    my @frames;
    while (length $conn->{in} >= 9) {
        my ($length) = unpack 'N', "\0" . substr $conn->{in}, 0, 3;
        last if length $conn->{in} < 9 + $length;
        my ($type, $flags, $stream) = unpack 'x3CCN', $conn->{in};
        push @frames, [$type, $flags, $stream, substr $conn->{in}, 9, $length];
        substr $conn->{in}, 0, 9 + $length, '';
    }
    return @frames;
}

1;
