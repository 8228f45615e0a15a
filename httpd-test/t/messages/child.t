# What a child says of its threads, its connections' number and its end; compared with mpm_event.

use strict;
use warnings;
use Test::More;
use MPMTest::Messages qw(fail_calls faults heal_calls messages says_as_stock);
use MPMTest::Server;
use MPMTest::Test within => 60;

plan skip_all => 'no C compiler' unless faults();

my %mpm = (ServerLimit => 2, ThreadLimit => 4, ThreadsPerChild => 2, MaxRequestWorkers => 2, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server { my (%o) = @_; return MPMTest::Server->new(faults(), mpm => {%mpm}, %o) }

says_as_stock('AH02471: the kind of pollset', sub {
    my $s = server(@_);
    $s->start or return [ 'does not start: ' . $s->console_text ];
    $s->log_like(qr/AH02471/, 5);
    return messages($s, qr/AH02471/);
}, ['debug AH02471: start_threads: Using epoll (wakeable)']);

says_as_stock('MaxConnectionsPerChild', sub {
    my (%o) = @_;
    my $s = server(%o, loglevel => 'info ' . $o{symbol} =~ s/_module$/:trace1/r, conf => "MaxConnectionsPerChild 1\n");
    $s->start or return [ 'does not start: ' . $s->console_text ];
    $s->log_like(qr/MaxConn/, 5);
    return [ messages($s, qr/MaxConn/)->[0] ];
}, ['trace1 Stopping process due to MaxConnectionsPerChild']);

my @joins = ('crit (22)Invalid argument: AH00476: apr_thread_join: unable to join listener thread',
    map {"crit (22)Invalid argument: AH00477: apr_thread_join: unable to join worker thread $_"} 0, 1);
says_as_stock('AH00476, AH00477: threads that cannot be joined', sub {
    my $s = server(@_);
    $s->start or return [ 'does not start: ' . $s->console_text ];
    fail_calls(pthread_join => 0);
    $s->graceful(old_gone => 1);
    heal_calls();
    return [ sort @{ messages($s, qr/AH0047[678]/) } ];
}, \@joins, stock => [ @joins, 'crit (22)Invalid argument: AH00478: apr_thread_join: unable to join the start thread' ]);

done_testing;
