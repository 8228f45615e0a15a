package MPMTest::Backend;

# a backend whose answers the test gives by hand, so that a worker is busy for exactly as long as the test wants

use strict;
use warnings;
use IO::Socket::INET;

sub new {
    my ($class) = @_;
    my $sock = IO::Socket::INET->new(Listen => 128, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1)
        or die "backend: $!";
    return bless { sock => $sock, port => $sock->sockport, held => [] }, $class;
}

sub port { return $_[0]{port} }

# ProxyPass lines for the server's conf (its modules: proxy, proxy_http).
sub conf {
    my ($self, $path) = @_;
    $path //= '/hold/';
    return "ProxyPass \"$path\" \"http://127.0.0.1:$self->{port}/\" disablereuse=on\nProxyTimeout 120\n";
}

# The next request that a worker has sent here, as a MPMTest::Conn with {request} set; undef when none comes.
sub take {
    my ($self, $within) = @_;
    my $end = Time::HiRes::time() + ($within // 5);
    IO::Select->new($self->{sock})->can_read($within // 5) or return undef;
    my $conn = MPMTest::Conn->new(socket => scalar $self->{sock}->accept) or return undef;
    until ($conn->{in} =~ /\r\n\r\n/) { $conn->_fill($end) or return undef }
    $conn->{in} =~ s/^(.*?\r\n)\r\n//s;
    $conn->{request} = $1;
    return $conn;
}

# Answers a request that take() gave.
sub answer {
    my ($self, $conn, $body, %o) = @_;
    $body //= "done\n";
    $conn->send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
            . length($body) . "\r\nConnection: close\r\n\r\n$body");
    return $conn->close;
}

1;
