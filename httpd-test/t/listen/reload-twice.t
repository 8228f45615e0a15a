# A port goes with one reload and comes back with the next, before the first one's children are ready: children of the server's
# first configuration, which have not been told to finish, still listen on it.
use strict;
use warnings;
use Test::More;
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 90, qw(probe_server);

for my $signal (qw(USR1 HUP)) {
    subtest "SIGUSR1, then SIG$signal" => sub {
        my ($kept, $other) = map { MPMTest::Server->free_port } 1, 2;
        my $s = probe_server(port => $kept, listen => [ map {"127.0.0.1:$_"} $kept, $other ], probe => 'ProbeChildInitSleep 2000',
            mpm => { StartServers => 1, ServerLimit => 8, ThreadsPerChild => 4, MaxRequestWorkers => 16 });
        $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
        my $served = sub { $s->get('/', port => $_[0], within => 10)->{status} };
        is $served->($_), 200, "port $_ is served" for $kept, $other;
        my %old = map { $_ => 1 } $s->children;

        $s->configure(listen => ["127.0.0.1:$kept"]);
        $s->clear_log_mark;
        $s->signal('USR1');
        ok $s->log_like(qr/AH00493.*AH00489/s, 10), 'a reload without the second port';
        $s->configure(listen => [ map {"127.0.0.1:$_"} $kept, $other ]);
        $s->clear_log_mark;
        $s->signal($signal);
        ok wait_until(sub { !$s->running || $s->log_new =~ /AH00489/ }, 20), 'and one with it, within its child_init';
        ok $s->running, 'the server lives' or return diag $s->error_log;
        is $served->($_), 200, "port $_ is served" for $kept, $other;
        ok wait_until(sub { !grep { $old{$_} } $s->children }, 20), 'the first children are gone';
        is $served->($_), 200, "port $_ is served" for $kept, $other;
        $s->ends_well;
    };
}

done_testing;
