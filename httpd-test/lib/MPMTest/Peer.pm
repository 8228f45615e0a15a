package MPMTest::Peer;

# A server of the test's own behind the proxy modules: one process, each connection in a process of its own.

use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();

# Calls serve->($socket, $number of the connection) for each connection, for at most $o{limit} seconds.
sub new {
    my ($class, $serve, %o) = @_;
    my $listener = IO::Socket::INET->new(Listen => 128, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1)
        or die "peer: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        setpgrp 0, 0;
        $SIG{TERM} = $SIG{ALRM} = 'DEFAULT';
        $SIG{PIPE} = $SIG{CHLD} = 'IGNORE';
        alarm($o{limit} // 120);
        for (my $n = 1;; $n++) {
            my $sock = $listener->accept or next;
            next if fork // 0;
            alarm($o{limit} // 120);
            close $listener;
            eval { $serve->($sock, $n) };
            print STDERR "peer: $@" if $@;
            close $sock;
            POSIX::_exit(0);
        }
    }
    return bless { pid => $pid, port => $listener->sockport, owner => $$ }, $class;
}

sub port { return $_[0]{port} }

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local $?;
    kill TERM => -$self->{pid}, $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

# Exactly so many bytes; undef at the end of the input.
sub bytes {
    my ($sock, $n) = @_;
    my $data = '';
    while (length $data < $n) { sysread $sock, $data, $n - length $data, length $data or return undef }
    return $data;
}

# All of it; dies when the other side has gone.
sub put {
    my ($sock, $data) = @_;
    while (length $data) { my $n = syswrite($sock, $data) // die "write: $!\n"; substr $data, 0, $n, '' }
    return;
}

1;
