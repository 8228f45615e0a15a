package MPMTest::Test;

# What most tests need: the shared server, private servers with the probe module, waiting, and reading what
# the probe and mod_status say.
#
#   use MPMTest::Test within => 60, qw(shared wait_until);    # the file dies after 60 s (default 120)

use strict;
use warnings;

use Digest::MD5 ();
use Exporter ();
use MPMTest::Server ();
use Test::Builder;
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF inet_aton pack_sockaddr_in);
use Time::HiRes qw(sleep time);

our @ISA       = ('Exporter');
our @EXPORT_OK = qw(
    beyond shared probe_server wait_until is_stock fields probe async async_becomes async_conf conns narrow_conns close_times fill_up
    data_file md5 open_files
);

*wait_until = \&MPMTest::Server::wait_until;
*is_stock   = \&MPMTest::Server::is_stock;

sub import {
    my ($class, @names) = @_;
    my $within = 120;
    if (@names && $names[0] eq 'within') { (undef, $within, @names) = @names }
    $SIG{ALRM} = sub { die "$0 took longer than $within s\n" };
    alarm $within;
    $SIG{PIPE} = 'IGNORE';
    return $class->export_to_level(1, $class, @names);
}

# Marks an assertion that httpd's own event MPM is known to fail; the README of the project lists them.
sub beyond { my ($name) = @_; return "$name [beyond mpm_event]" }

# The server that all test files share, as a MPMTest::Server that is never started or stopped here.
my $shared;
sub shared { return $shared ||= MPMTest::Shared->new }

# A private server with the probe module below /probe/. Options as in MPMTest::Server, and probe => 'directives'.
sub probe_server {
    my (%o) = @_;
    my $probe = delete $o{probe} // '';
    $o{pre_conf} = qq{LoadModule mpm_probe_module "$ENV{MPMTEST_PROBE}"\n} . ($o{pre_conf} // '');
    $o{conf} = <<"EOT" . ($o{conf} // '');
<Location "/probe">
    SetHandler mpm-probe
    Require all granted
</Location>
$probe
EOT
    return MPMTest::Server->new(%o);
}

# "name: value" lines as a hash.
sub fields {
    my ($text) = @_;
    return { map { /^([^:]+): (.*?)\r?$/ ? ($1 => $2) : () } split /\n/, $text };
}

# What a page of the probe says, as a hash, asked on a connection of its own.
sub probe {
    my ($server, $path) = @_;
    return fields($server->get("/probe/$path")->{body});
}

# The connection counts of mod_status.
sub async {
    my ($server) = @_;
    my $s = $server->status;
    my %names = (total => 'ConnsTotal', waitio => 'ConnsAsyncWaitIO', writing => 'ConnsAsyncWriting',
        keepalive => 'ConnsAsyncKeepAlive', closing => 'ConnsAsyncClosing', busy => 'BusyWorkers', idle => 'IdleWorkers');
    return { map { $_ => $s->{ $names{$_} } // -1 } keys %names };
}

# Asks until mod_status shows this, for one second, and so often as fits into one where nobody is held up: a machine that
# stands still is not counted. In the total the asking connection may be counted or not.
sub async_becomes {
    my ($server, $name, %want) = @_;
    my ($begin, $looks, $ok, $got) = (time, 0);
    until ($ok || $looks >= 18 && time > $begin + 1 || time > $begin + 10) {
        sleep 0.05 if $looks++;
        $got = async($server);
        $ok = !grep { $_ eq 'total' ? ($got->{total} - $want{total}) !~ /^[01]$/ : $got->{$_} != $want{$_} } keys %want;
    }
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok($ok, $name) or Test::More::diag(Test::More::explain({ got => $got, want => \%want }));
    return;
}

# What lets connections wait in every way that mod_status counts: for I/O on a port of their own, for a client that does
# not read, for the next request, and in lingering close after a refused upload to /limited/probe/digest.
sub async_conf {
    my ($waitio_port) = @_;
    return <<"EOT";
EnableSendfile On
KeepAliveTimeout 60
Timeout 60
Listen 127.0.0.1:$waitio_port
<VirtualHost 127.0.0.1:$waitio_port>
    ProbeOddState waitio
</VirtualHost>
<Location "/limited">
    SetHandler mpm-probe
    Require all granted
    LimitRequestBody 1000
</Location>
EOT
}

# $n open connections to a port of the server; dies when one cannot be made.
sub conns {
    my ($server, $n, %o) = @_;
    return map { $server->open_conn(within => 10, %o) || die "connection $_ of $n: $!\n" } 1 .. $n;
}

# The same with a small receive buffer: the server's writing soon stops when nobody reads.
sub narrow_conns {
    my ($server, $n, %o) = @_;
    return map {
        my $sock = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!\n";
        setsockopt $sock, SOL_SOCKET, SO_RCVBUF, $o{buffer} // 65_536;
        $sock->connect(pack_sockaddr_in($o{port} // $server->port, inet_aton('127.0.0.1'))) or die "connect: $!\n";
        MPMTest::Conn->new(socket => $sock);
    } 1 .. $n;
}

# Waits for the server to close connections: { index => time } of those that ended within so many seconds.
sub close_times {
    my ($within, @c) = @_;
    my $end = time + $within;
    my $select = IO::Select->new;
    my %index;
    for my $i (0 .. $#c) { $select->add($c[$i]->sock); $index{ fileno $c[$i]->sock } = $i }
    my %closed;
    while ($select->count && (my $left = $end - time) > 0) {
        for my $sock ($select->can_read($left)) {
            my $got = sysread $sock, my $data, 65_536;
            next if $got || !defined $got && $!{EAGAIN};
            $closed{ $index{ fileno $sock } } = time;
            $select->remove($sock);
        }
    }
    return \%closed;
}

# A file of so many bytes in the server's htdocs, no two blocks of it alike; returns its MD5.
# Idle connections, one after the other, each with one request answered, until a child takes no more: the next is not answered
# for a second or two, or takes the place of an idle one. Returns those that are there, the next one, and the number that
# made room for it; at most $max.
sub fill_up {
    my ($server, $max) = @_;
    my @held;
    while (@held < $max) {
        my ($next) = conns($server, 1);
        $next->request('/index.html');
        my $served = $next->response(@held < 12 ? 5 : 2)->{status} == 200;
        $server->at_rest;    # the worker is idle again
        return (\@held, $next, 0) if !$served;
        # Nobody makes room at once.
        if ($next->{answered} - $next->{asked} > 0.09) {
            my %gone;
            MPMTest::Server::wait_until(sub { %gone = %{ close_times(0.02, @held) } }, 0.5);
            return ([ @held[ grep { !exists $gone{$_} } 0 .. $#held ] ], $next, scalar keys %gone) if %gone;
        }
        push @held, $next;
    }
    return (\@held, undef, 0);
}

sub data_file {
    my ($server, $name, $bytes) = @_;
    my $path = $server->htdocs . "/$name";
    my $md5  = Digest::MD5->new;
    my $line = '0123456789abcdef' x 63;
    open my $fh, '>', "$path.$$" or die "$path: $!";
    for (my ($left, $i) = ($bytes, 0); $left > 0; $i++) {
        my $block = substr sprintf("%015d\n%s", $i, $line), 0, $left > 1024 ? 1024 : $left;
        $left -= length $block;
        $md5->add($block);
        print {$fh} $block;
    }
    close $fh or die "$path: $!";
    rename "$path.$$", $path or die "$path: $!";
    return $md5->hexdigest;
}

sub md5 { return Digest::MD5::md5_hex($_[0]) }

# How many files this process may open.
sub open_files {
    open my $fh, '<', '/proc/self/limits' or return 1024;
    while (<$fh>) { return $1 if /^Max open files\s+(\d+)/ }
    return 1024;
}

package MPMTest::Shared;

use strict;
use warnings;

use Apache::Test ();

our @ISA = ('MPMTest::Server');

sub new {
    my ($class) = @_;
    my $vars = Apache::Test::vars();
    my $self = bless { port => $vars->{port}, dir => $vars->{serverroot}, binary => $vars->{httpd}, owner => 0 }, $class;
    $self->clear_log_mark;
    return $self;
}

# The port of a virtual host (MPMTest::Run lists their names), or the main one.
sub port {
    my ($self, $name) = @_;
    return $self->{port} unless $name;
    return Apache::Test::vars("port_$name") || die "no port $name\n";
}

sub htdocs { return "$_[0]{dir}/htdocs" }

sub pid {
    my ($self) = @_;
    my ($pid) = ($self->slurp('logs/httpd.pid') // '') =~ /^(\d+)/;
    return $pid;
}

sub start { die "the shared server is Apache::Test's\n" }
*stop = *graceful = *signal = \&start;

1;
