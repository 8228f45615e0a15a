package MPMTest::Conn;

# a client's connection, read without blocking for longer than asked

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::IP;
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(sleep time);

# host (an IPv4 or IPv6 address), port, within => seconds;  tls => {options of IO::Socket::SSL};  socket: an open one
sub new {
    my ($class, %o) = @_;
    my $sock = $o{socket} || _connect(%o) or return undef;
    $sock->blocking(0);
    setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1;
    return bless { sock => $sock, in => '', port => $sock->sockport }, $class;
}

sub _connect {
    my (%o) = @_;
    my %to = (PeerAddr => $o{host}, PeerPort => $o{port}, Timeout => $o{within} // 5);
    return IO::Socket::SSL->new(%to, SSL_verify_mode => 0, SSL_alpn_protocols => ['http/1.1'], %{ $o{tls} }) if $o{tls};
    return ($o{host} =~ /:/ ? 'IO::Socket::IP' : 'IO::Socket::INET')->new(%to, Proto => 'tcp');
}

sub sock  { return $_[0]{sock} }
sub port  { return $_[0]{port} }
sub close { my ($self) = @_; return $self->{sock} && CORE::close(delete $self->{sock}) }

# Closes with a RST.
sub reset {
    my ($self) = @_;
    setsockopt $self->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    return $self->close;
}

# Writes all of it; false when the peer is gone or does not read.
sub send {
    my ($self, $data, $within) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $end = time + ($within // 10);
    while (length $data) {
        my $n = syswrite $self->{sock}, $data;
        if (defined $n) { substr $data, 0, $n, ''; next }
        return 0 unless $!{EAGAIN} || $!{EINTR};
        return 0 if time >= $end;
        IO::Select->new($self->{sock})->can_write($end - time);
    }
    return 1;
}

sub request {
    my ($self, $path, %o) = @_;
    my %h = (Host => 'localhost', %{ $o{headers} || {} });
    $h{'Content-Length'} //= length $o{body} if defined $o{body};
    my $text = join '', ($o{method} || 'GET') . " $path HTTP/" . ($o{version} || '1.1') . "\r\n",
        map({"$_: $h{$_}\r\n"} sort keys %h), "\r\n", $o{body} // '';
    $self->{asked} = time;
    return $self->send($text);
}

# Reads once; 1 with data, 0 at the end, undef when nothing came in time. {error} names a reset.
sub _fill {
    my ($self, $end) = @_;
    while (1) {
        my $n = sysread $self->{sock}, my $buf, 65_536;
        if (defined $n) { $self->{in} .= $buf; $self->{eof} = 1 if $n == 0; return $n ? 1 : 0 }
        if (!$!{EAGAIN} && !$!{EINTR}) { $self->{error} = "$!"; $self->{eof} = 1; return 0 }
        # A signal ends the wait early: then it goes on.
        my $left = $end - time;
        return undef if $left <= 0;
        IO::Select->new($self->{sock})->can_read($left);
    }
}

# One response: { status, reason, version, headers, body, complete, error }; status 0 when none came.
sub response {
    my ($self, $within, %o) = @_;
    my $end = time + ($within // 10);
    my $r = { status => 0, headers => {}, body => '', complete => 0 };
    until ($self->{in} =~ /\r?\n\r?\n/) {
        next if $self->_fill($end);
        $r->{error} = $self->{error} // ($self->{eof} ? 'EOF' : 'timeout');
        return $r;
    }
    $self->{in} =~ s/^(.*?)\r?\n\r?\n//s;
    my ($line, @fields) = split /\r?\n/, $1;
    @$r{qw(version status reason)} = $line =~ m{^HTTP/(\S+) (\d+) ?(.*)$} or return { %$r, error => "bad: $line" };
    for (@fields) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/ or next;
        $r->{headers}{ lc $name } = $value;
    }
    my $none = ($o{method} // '') eq 'HEAD' || $r->{status} =~ /^(?:1..|204|304)$/;
    $r->{complete} = $none || $self->_body($r, $end);
    $self->{answered} = time;
    $r->{error} = $self->{error} // ($self->{eof} ? 'EOF in body' : 'timeout in body') unless $r->{complete};
    return $r;
}

sub _body {
    my ($self, $r, $end) = @_;
    my $h = $r->{headers};
    return $self->_chunked($r, $end) if ($h->{'transfer-encoding'} // '') =~ /chunked/i;
    my $length = $h->{'content-length'};
    until (defined $length && length $self->{in} >= $length) {
        my $got = $self->_fill($end);
        next if $got;
        $r->{body} = $self->{in};
        $self->{in} = '';
        return defined $got && !defined $length && !$self->{error} ? 1 : 0;
    }
    $r->{body} = substr $self->{in}, 0, $length, '';
    return 1;
}

sub _chunked {
    my ($self, $r, $end) = @_;
    while (1) {
        until ($self->{in} =~ /\n/) { $self->_fill($end) or return 0 }
        my ($digits) = $self->{in} =~ /^([0-9a-fA-F]+)/ or return 0;
        my ($skip, $size) = (1 + index($self->{in}, "\n"), hex $digits);
        until (length $self->{in} >= $skip + $size + 2) { $self->_fill($end) or return 0 }
        $r->{body} .= substr $self->{in}, $skip, $size;
        substr $self->{in}, 0, $skip + $size + 2, '';
        return 1 if !$size;
    }
}

# Has the peer closed (or reset) within that time? Data that arrives before is kept.
sub eof_within {
    my ($self, $within) = @_;
    my $end = time + $within;
    while (!$self->{eof}) { defined $self->_fill($end) or return 0 }
    return 1;
}

# Goes on sending on connections that the server lingers on, until it has closed them: the times of that, undef for
# those that it has not closed within so many seconds.
sub drained_until {
    my ($within, @conns) = @_;
    my $end = time + $within;
    my @closed;
    while (time < $end && grep { !$closed[$_] } 0 .. $#conns) {
        for my $i (grep { !$closed[$_] } 0 .. $#conns) { $closed[$i] = time if !$conns[$i]->send('more ', 1) }
        sleep 0.1;
    }
    return @closed[ 0 .. $#conns ];
}

# How its end at the time $closed fits a timeout of so many seconds after the last response: 'in time', or what is wrong.
sub fits {
    my ($self, $closed, $after, $late) = @_;
    return 'not closed' if !$closed;
    return sprintf 'early: %.4f s', $closed - $self->{asked}    if $closed - $self->{asked} < $after;
    return sprintf 'late: %.3f s',  $closed - $self->{answered} if $closed - $self->{answered} > $after + $late;
    return 'in time';
}

sub buffered { return $_[0]{in} }
sub error    { return $_[0]{error} }

1;
