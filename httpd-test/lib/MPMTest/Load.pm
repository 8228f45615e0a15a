package MPMTest::Load;

# clients in processes of their own that go on until they are told to stop

use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(sleep time);

# Starts one process for each client. Clients: { keepalive => 0|1, path, think => seconds }; at most $o{limit} seconds.
sub new {
    my ($class, $server, $clients, %o) = @_;
    my @running;
    for my $client (@$clients) {
        pipe my $read, my $write or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            CORE::close $read;
            my $count = eval { _client($server, $client, time + ($o{limit} // 60)) } || { died => 1 };
            syswrite $write, join ' ', %$count;
            POSIX::_exit(0);
        }
        CORE::close $write;
        push @running, { pid => $pid, read => $read, client => $client };
    }
    return bless { running => \@running, owner => $$ }, $class;
}

# Ends the clients; returns the sums of what they counted:
# ok       complete answers with status 200            bad       other answers
# lost     requests sent whole and answered by EOF     partial   answers that broke off
# refused  connections not made                        late      no answer within 20 s
# closing  answers with "Connection: close" on a connection meant to be kept;  slowest  seconds, of the ok ones
# overtaken  as lost, on a connection that this client, held up, had let idle for longer than it meant to
sub finish {
    my ($self) = @_;
    my %sum = map { $_ => 0 } qw(ok bad lost partial refused late closing slowest died overtaken);
    for my $run (splice @{ $self->{running} }) {
        kill TERM => $run->{pid};
        my $text = do { local $/; my $fh = $run->{read}; <$fh> };
        waitpid $run->{pid}, 0;
        my %count = split ' ', $text // 'died 1';
        for (keys %count) {
            if ($_ eq 'slowest') { $sum{$_} = $count{$_} if $count{$_} > $sum{$_} }
            else                 { $sum{$_} += $count{$_} }
        }
    }
    return \%sum;
}

sub DESTROY { my ($self) = @_; local $?; $self->finish if $self->{owner} == $$; return }

sub _client {
    my ($server, $client, $end) = @_;
    my $go = 1;
    local $SIG{TERM} = sub { $go = 0 };
    my %n = (slowest => 0);
    my $conn;
    while ($go && time < $end) {
        undef $conn if $conn && $conn->eof_within(0);    # a careful client looks before it sends
        my $begin = time;
        my $answered = $conn && $conn->{answered};
        if (!$conn && !($conn = $server->open_conn)) { $n{refused}++ if $go; sleep 0.01; next }    # SIGTERM interrupts connect
        my $keep = $client->{keepalive};
        $conn->request($client->{path} // '/', headers => { Connection => $keep ? 'keep-alive' : 'close' });
        # At a restart an idle connection is waited for, but not for ever: its end and the request may cross on the way.
        my $held_up = $answered && time - $answered > 0.1 + ($client->{think} // 0);
        my $r = $conn->response(20);
        my $took = time - $begin;
        if    (!$r->{status})         { $n{ $r->{error} eq 'timeout' ? 'late' : $held_up ? 'overtaken' : 'lost' }++; undef $conn }
        elsif (!$r->{complete})       { $n{partial}++; undef $conn }
        elsif ($r->{status} != 200)   { $n{bad}++ }
        else                          { $n{ok}++; $n{slowest} = $took if $took > $n{slowest} }
        my $close = ($r->{headers}{connection} // '') =~ /close/i;
        $n{closing}++ if $close && $keep;
        undef $conn if $close;
        sleep $client->{think} if $client->{think};
    }
    return \%n;
}

1;
