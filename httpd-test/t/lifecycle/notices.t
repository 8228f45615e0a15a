# The notices of a server's life are in the log at each LogLevel, as with mpm_event: httpd never drops a notice.

use strict;
use warnings;
use Test::More;
use MPMTest::Messages qw(messages says_as_stock);
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 120;

my %mpm = (ServerLimit => 4, ThreadsPerChild => 2, MaxRequestWorkers => 4, StartServers => 1, MinSpareThreads => 1,
    MaxSpareThreads => 100);

# The ids of what is said in a server's life: start, graceful and hard restart, and the end that the signal asks for.
sub life {
    my ($signal, $level, %o) = @_;
    my $name = $o{symbol} =~ s/_module$//r;
    my $s = MPMTest::Server->new(mpm => {%mpm}, loglevel => $level =~ s/MPM/$name/r, %o);
    $s->start or return [ 'does not start: ' . $s->console_text ];
    $s->graceful(within => 10);
    $s->hard_restart(within => 10);
    $s->stop(signal => $signal);
    return [ map {/^(\w+ AH\d+): /} @{ messages($s, qr/AH/, of => $s->error_log) } ];
}

my @life = map {"notice $_"} qw(AH00489 AH00493 AH00489 AH00494 AH00489);
for my $level ('warn', 'error', 'emerg', 'warn MPM:crit') {
    says_as_stock("LogLevel $level, SIGTERM",  sub { life('TERM',  $level, @_) }, [ @life, 'notice AH00491' ]);
    says_as_stock("LogLevel $level, SIGWINCH", sub { life('WINCH', $level, @_) }, [ @life, 'notice AH00492' ]);
}

# What is no notice is dropped where LogLevel says so, for this module or for all.
for my $level ('warn', 'notice', 'debug MPM:warn') {
    says_as_stock("LogLevel $level: nothing below", sub {
        my (%o) = @_;
        my $name = $o{symbol} =~ s/_module$//r;
        my $s = MPMTest::Server->new(mpm => {%mpm}, loglevel => $level =~ s/MPM/$name/r, %o);
        $s->start or return [ 'does not start: ' . $s->console_text ];
        $s->stop;
        return [ grep { !/^notice/ } @{ messages($s, qr/./, of => $s->error_log) } ];
    }, []);
}

done_testing;
