# The parent's messages about its children, compared with mpm_event's.

use strict;
use warnings;
use Test::More;
use MPMTest::Messages qw(fail_calls faults heal_calls messages says_as_stock);
use MPMTest::Server qw(httpd_binary wait_until);
use MPMTest::Test within => 90;

my %mpm = (ServerLimit => 2, ThreadLimit => 4, ThreadsPerChild => 2, MaxRequestWorkers => 2, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server { my (%o) = @_; return MPMTest::Server->new(mpm => {%mpm}, %o) }

says_as_stock('Child N started, quiescing, stopped', sub {
    my $s = server(@_, backend => 1);
    $s->start or return [ 'does not start: ' . $s->console_text ];
    my $hold = $s->hold or return ['no request at the backend'];
    $s->signal('USR1');
    $s->log_like(qr/Child 0 quiescing/, 10);
    $s->release($hold);
    $hold->{conn}->close;
    $s->log_like(qr/Child 0 stopped/, 10);
    kill KILL => $s->children;
    $s->log_like(qr/Child 1 stopped/, 10);
    return messages($s, qr/^(?:\S+: )?Child (?:0 (?:started: pid \d+, gen 0|quiescing|stopped: pid \d+, gen 0)|1 stopped: pid \d+, gen 1)/);
}, [
    'debug Child 0 started: pid N, gen 0, active 1/1, total 1/1/2',
    'debug Child 0 quiescing: pid N, gen 0, active 1/1, total 2/2/2',
    'debug Child 0 stopped: pid N, gen 0, active 1/1, total 1/2/2, quiescing 2',
    'debug Child 1 stopped: pid N, gen 1, active 0/1, total 0/2/2, quiescing 0',
]);

# A process that the server inherits: before a restart nobody is told of its end, after a graceful one it may have been
# a child.
says_as_stock('AH00488: a child that nobody knows', sub {
    my $s = server(@_);
    $s->{binary} = $s->write_file('httpd.sh', "#!/bin/sh\nfor n in 1 2; do sleep 100 & echo \$! >>"
            . $s->dir . "/lost; done\nexec " . httpd_binary() . qq{ "\$@"\n}, 0755);
    $s->start or return [ 'does not start: ' . $s->console_text ];
    my @lost = split ' ', $s->slurp('lost');
    kill KILL => $lost[0];
    wait_until { !-e "/proc/$lost[0]" } 5;
    $s->graceful(old_gone => 1);
    kill KILL => $lost[1];
    $s->log_like(qr/AH00488/, 5);
    return messages($s, qr/AH00488/);
}, ['warn AH00488: long lost child came home! (pid N)']);

SKIP: {
    skip 'no C compiler', 1 unless faults();
    says_as_stock('AH00481: no child', sub {
        my $s = server(@_, faults());
        $s->start or return [ 'does not start: ' . $s->console_text ];
        fail_calls(fork => 0);
        kill KILL => $s->children;
        $s->log_like(qr/AH00481/, 5);
        heal_calls();
        my $said = messages($s, qr/AH00481/);
        $s->stop(within => 0);    # mpm_event sleeps for 10 s
        return $said;
    }, ['error (11)Resource temporarily unavailable: AH00481: fork: Unable to fork new process']);
}

done_testing;
