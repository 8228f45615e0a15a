# Start-up: what refuses a start says so on the console, a reload that can't be done in the error log; with mpm_event's words.

use strict;
use warnings;
use Test::More;
use MPMTest::Messages qw(fail_calls faults heal_calls messages says_as_stock);
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 120;

plan skip_all => 'no C compiler' unless faults();

my %mpm = (ServerLimit => 2, ThreadsPerChild => 2, MaxRequestWorkers => 4, StartServers => 1, MinSpareThreads => 1);

sub server { my (%o) = @_; return MPMTest::Server->new(faults(), mpm => {%mpm}, %o) }

# A start that fails: its exit status, and what it leaves on the console and in the error log.
sub refused_start {
    my ($s, %o) = @_;
    fail_calls(%{ $o{calls} });
    my $pid = $s->start(answer => 0, args => $o{args});
    my $exit = $s->wait_exit(15);
    wait_until { !$s->members } 2 if $o{args};
    heal_calls();
    my @console = map { s/^\[[^]]+\] \[mpm_\w+:(\w+)\] \[pid \d+(?::tid \d+)?\] /$1 /r } split /\n/, $s->console_text;
    return [ 'exit ' . ($exit // 'none: it runs'), (grep { !/AH00558/ } @console), @{ messages($s, qr/./) } ];
}

subtest 'a start that is refused' => sub {
    says_as_stock('AH00495: no pollset',
        sub { refused_start(server(@_), calls => { epoll_create => 0 }) },
        [   'exit 1',
            q{crit (24)Too many open files: AH00495: Couldn't create a Thread Safe Pollset. }
                . q{Is it supported on your platform?Also check system or user limits!},
        ]);
    says_as_stock('AH00496: cannot detach',
        sub { refused_start(server(@_), calls => { setsid => 0 }, args => [qw(-k start)]) },
        [ 'exit 0', 'crit (1)Operation not permitted: AH00496: apr_proc_detach failed' ]);
    says_as_stock('no pipe to the children',
        sub { refused_start(server(@_), calls => { pipe => 0 }) },
        [ 'exit 1', '(24)Too many open files: could not open pipe-of-death', 'AH00015: Unable to open logs' ]);
};

subtest 'a reload that cannot be done' => sub {
    for my $signal (qw(USR1 HUP)) {
        my $exit;
        says_as_stock("$signal: no pipe to the children", sub {
            my $s = server(@_);
            $s->start or return ["does not start: " . $s->console_text];
            $s->clear_log_mark;
            fail_calls(pipe => 0);
            $s->signal($signal);
            $exit = $s->wait_exit(10);
            heal_calls();
            return messages($s, qr/pipe|AH0049[34]|AH00489/);
        }, [ $signal eq 'USR1' ? 'notice AH00493: SIGUSR1 received.  Doing graceful restart'
                               : 'notice AH00494: SIGHUP received.  Attempting to restart',
            'crit (24)Too many open files: could not open pipe-of-death' ]);
        is $exit, 1, 'the server ends with 1';
    }
};

# A server's life, seen by who reads its log at level info.
subtest 'a life' => sub {
    my $up = [ 'notice AH00489: SERVER configured -- resuming normal operations', 'info AH00490: Server built: DATE' ];
    for my $end ([ TERM => 'notice AH00491: caught SIGTERM, shutting down' ],
        [ WINCH => 'notice AH00492: caught SIGWINCH, shutting down gracefully' ]) {
        says_as_stock("from start to SIG$end->[0]", sub {
            my $s = server(@_, loglevel => 'info');
            $s->start or return ["does not start: " . $s->console_text];
            $s->graceful(signal => $_, old_gone => 1) for qw(USR1 HUP);
            $s->stop(signal => $end->[0]);
            my $said = messages($s, qr/./, of => $s->error_log);
            s/AH00489: .* configured/AH00489: SERVER configured/, s/built: .*/built: DATE/ for @$said;
            return [ grep { !/AH10159/ } @$said ];
        }, [ @$up, 'notice AH00493: SIGUSR1 received.  Doing graceful restart', @$up,
            'notice AH00494: SIGHUP received.  Attempting to restart', @$up, $end->[1] ]);
    }
};

done_testing;
