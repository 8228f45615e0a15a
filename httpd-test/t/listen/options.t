# What is set on the listening sockets, and inherited by what is accepted: ListenBacklog, AcceptFilter,
# ListenTCPDeferAccept, SO_KEEPALIVE, SendBufferSize, ReceiveBufferSize; and values that are refused.
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_KEEPALIVE SO_ACCEPTCONN SO_SNDBUF SO_RCVBUF IPPROTO_TCP TCP_NODELAY);
use Test::More;
use MPMTest::Server;
use MPMTest::Test within => 120, qw(conns);

# Not in Socket: include/uapi of Linux. pidfd_open and pidfd_getfd have these numbers on every architecture.
my ($TCP_DEFER_ACCEPT, $TCP_INFO, $SO_REUSEPORT) = (9, 11, 15);
my ($PIDFD_OPEN, $PIDFD_GETFD) = (434, 438);

sub server {
    my ($directives, %o) = @_;
    return MPMTest::Server->new(mpm => { StartServers => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4 },
        conf => $directives, %o);
}

# This process's own handles of another's sockets that have that local port.
sub sockets_of {
    my ($pid, $port) = @_;
    my $process = syscall $PIDFD_OPEN, $pid + 0, 0;
    return if $process < 0;
    my @found;
    for my $path (grep { (readlink($_) // '') =~ /^socket:/ } glob "/proc/$pid/fd/*") {
        my $fd = syscall $PIDFD_GETFD, $process, $path =~ s{.*/}{}r + 0, 0;
        next if $fd < 0;
        my $sock = IO::Handle->new_from_fd($fd, 'r+') or die "descriptor: $!";
        my $name = getsockname $sock;
        push @found, $sock if $name && length $name >= 16 && unpack('x2n', $name) == $port;
    }
    POSIX::close($process);
    return @found;
}

sub option { my ($sock, $level, $name) = @_; return unpack 'i', getsockopt($sock, $level, $name) // pack 'i', -1 }

# As getsockopt(2) tells them.
sub options {
    my ($sock) = @_;
    return {
        keepalive => option($sock, SOL_SOCKET, SO_KEEPALIVE),
        reuseport => option($sock, SOL_SOCKET, $SO_REUSEPORT),
        defer     => option($sock, IPPROTO_TCP, $TCP_DEFER_ACCEPT),
        sndbuf    => option($sock, SOL_SOCKET, SO_SNDBUF),
        rcvbuf    => option($sock, SOL_SOCKET, SO_RCVBUF),
        backlog   => (unpack 'x8L6', getsockopt $sock, IPPROTO_TCP, $TCP_INFO)[5],    # tcpi_sacked, of a listening socket
    };
}

my $s = server('');
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
plan skip_all => 'no pidfd_getfd(2) here' if !sockets_of($s->pid, $s->port);
my $DEFERS = ($s->console('-t', '-c', 'ListenTCPDeferAccept 5')->{exit} // 1) == 0;
$s->stop;

# Linux keeps the seconds of TCP_DEFER_ACCEPT as retransmissions: 30 s are 1 + 2 + 4 + 8 + 16.
my %default = (keepalive => 1, reuseport => 0, defer => 31, backlog => 511);
# What it gives a new socket; of a size that is asked for, twice as much.
{
    my $fresh = options(IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') || die "socket: $!");
    $default{$_} = $fresh->{$_} for qw(sndbuf rcvbuf);
}
my %cases = (
    ''                                => {},
    'ListenBacklog 7'                 => { backlog => 7 },
    'ListenBackLog 8'                 => { backlog => 8 },
    'AcceptFilter http none'          => { defer => 0 },
    'AcceptFilter http connect'       => {},
    'AcceptFilter http data'          => {},
    'AcceptFilter https none'         => {},
    'ListenCoresBucketsRatio 10000'   => { reuseport => 1 },
    'SendBufferSize 20480'            => { sndbuf => 40_960 },
    'ReceiveBufferSize 30720'         => { rcvbuf => 61_440 },
    "SendBufferSize 0\nReceiveBufferSize 0" => {},
    $DEFERS ? (
        'ListenTCPDeferAccept 5'      => { defer => 7 },
        'ListenTCPDeferAccept 1'      => { defer => 1 },
        "ListenTCPDeferAccept 5\nAcceptFilter http none" => { defer => 0 },
    ) : (),
);
for my $directives (sort keys %cases) {
    (my $name = $directives || 'no directive') =~ s/\n/, /g;
    my $server = server($directives);
    $server->start or BAIL_OUT('the server does not start: ' . $server->console_text);
    my ($child) = $server->children;
    for my $pid ($server->pid, $child) {
        my @listening = grep { option($_, SOL_SOCKET, SO_ACCEPTCONN) } sockets_of($pid, $server->port);
        is_deeply [ map { options($_) } @listening ], [ { %default, %{ $cases{$directives} } } ],
            $name . ($pid == $child ? ', in the child' : '');
    }
    next if $directives;
    my ($c) = conns($server, 1);
    $c->request('/');
    is $c->response(5)->{status}, 200, 'a connection';
    # Not one of the requests that start() made, which may still be closing.
    my @accepted = grep { my $peer = getpeername $_; $peer && unpack('x2n', $peer) == $c->port } sockets_of($child, $server->port);
    is_deeply [ map { { keepalive => option($_, SOL_SOCKET, SO_KEEPALIVE), nodelay => !!option($_, IPPROTO_TCP, TCP_NODELAY) } } @accepted ],
        [ { keepalive => 1, nodelay => !!1 } ], 'has SO_KEEPALIVE and TCP_NODELAY';
    @accepted = ();
    $server->configure(conf => "ListenBacklog 9\n");
    ok $server->graceful(old_gone => 1), 'graceful restart';
    is options(grep { option($_, SOL_SOCKET, SO_ACCEPTCONN) } sockets_of($server->pid, $server->port))->{backlog}, 511,
        'which keeps the socket as it was';
    $server->ends_well;
}

my %refused = (
    'ListenBacklog 0'           => 'ListenBacklog must be > 0',
    'ListenBacklog x'           => 'ListenBacklog must be > 0',
    'ListenCoresBucketsRatio 0' => 'ListenCoresBucketsRatio must be > 0',
    'ListenBacklog'             => 'ListenBacklog takes one argument, .*',
    'AcceptFilter http'         => 'AcceptFilter takes two arguments, .*',
    'Listen 127.0.0.1'          => 'Port must be specified',
    'Listen 127.0.0.1:99999'    => 'Invalid address or port',
    'Listen 127.0.0.1:1 a b'    => 'Listen requires 1 or 2 arguments\.',
    map({ ("<VirtualHost *:1>\n$_\n</VirtualHost>" => '.* (?:not allowed|cannot occur within).*') } 'ListenBacklog 5', 'Listen 127.0.0.1:1'),
    $DEFERS ? (
        'ListenTCPDeferAccept 0' => 'ListenTCPDeferAccept must be > 0',
        'ListenTCPDeferAccept x' => 'ListenTCPDeferAccept must be > 0',
        'ListenTCPDeferAccept'   => 'ListenTCPDeferAccept takes one argument, Value set for the socket option TCP_DEFER_ACCEPT if it is set',
    ) : (),
);
for my $directives (sort keys %refused) {
    my $check = server("$directives\n")->console('-t');
    is $check->{exit}, 1, $directives =~ s/\n/ /gr . ' is refused';
    like $check->{out}, qr/^AH00526: Syntax error on line \d+ of .*:\n$refused{$directives}$/m, 'in words';
}

done_testing;
