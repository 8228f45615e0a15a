package MPMTest::FastCGI;

# As much of a FastCGI responder as a test of mod_proxy_fcgi needs.

use strict;
use warnings;
use MPMTest::Peer;

my ($BEGIN, $END, $PARAMS, $STDIN, $STDOUT, $STDERR) = (1, 3, 4, 5, 6, 7);

# Calls answer->(\%params, $stdin): the text of the response (with its head), and what goes to stderr.
sub new {
    my ($class, $answer) = @_;
    return MPMTest::Peer->new(sub { my ($sock) = @_; 1 while _request($sock, $answer); return });
}

sub _record {
    my ($sock, $type, $id, $content) = @_;
    return MPMTest::Peer::put($sock, pack('CCnnCC', 1, $type, $id, length $content, 0, 0) . $content);
}

# Serves one request; false when the connection is to end.
sub _request {
    my ($sock, $answer) = @_;
    my ($id, $keep, $params, $stdin) = (0, 0, '', '');
    while (1) {
        my $head = MPMTest::Peer::bytes($sock, 8) // return 0;
        my ($type, $length, $padding);
        (undef, $type, $id, $length, $padding) = unpack 'CCnnC', $head;
        my $content = MPMTest::Peer::bytes($sock, $length + $padding) // return 0;
        substr $content, $length, $padding, '';
        if    ($type == $BEGIN)  { $keep = (unpack 'nC', $content)[1] & 1 }
        elsif ($type == $PARAMS) { $params .= $content }
        elsif ($type == $STDIN)  { $stdin  .= $content; last unless length $content }
    }
    my ($text, $complaint) = $answer->(_pairs($params), $stdin);
    _record($sock, $STDERR, $id, $complaint) if length($complaint // '');
    _record($sock, $STDOUT, $id, substr $text, 0, 32_768, '') while length $text;
    _record($sock, $STDOUT, $id, '');
    _record($sock, $END, $id, pack 'NCx3', 0, 0);
    return $keep;
}

# Names and values, each with its length before it in one byte or four.
sub _pairs {
    my ($text) = @_;
    my %pairs;
    while (length $text) {
        my @lengths;
        for (1, 2) {
            my $four = ord($text) & 0x80;
            my $n = unpack $four ? 'N' : 'C', $text;
            push @lengths, $n & ($four ? 0x7fffffff : 0xff);
            substr $text, 0, $four ? 4 : 1, '';
        }
        my $name = substr $text, 0, $lengths[0], '';
        $pairs{$name} = substr $text, 0, $lengths[1], '';
    }
    return \%pairs;
}

1;
