# A child that cannot start: what it says, and what becomes of the server; compared with mpm_event.

use strict;
use warnings;
use Test::More;
use MPMTest::Messages qw(fail_calls faults heal_calls messages says_as_stock);
use MPMTest::Server;
use MPMTest::Test within => 120;

plan skip_all => 'no C compiler' unless faults();

my %mpm = (ServerLimit => 2, ThreadLimit => 4, ThreadsPerChild => 2, MaxRequestWorkers => 2, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server { my (%o) = @_; return MPMTest::Server->new(faults(), mpm => {%mpm}, %o) }

# What is said when calls fail from the start on.
sub fails_at_start {
    my ($s, %calls) = @_;
    fail_calls(%calls);
    $s->start(answer => 0);
    my $exit = $s->wait_exit(15);
    heal_calls();
    return [ @{ messages($s, qr/AH0(?!0489|0490|2471)/) }, 'the server ends with ' . ($exit // 'nothing: it runs') ];
}

my $eagain   = '(11)Resource temporarily unavailable';
my $hopeless = 'alert AH02324: A resource shortage or other unrecoverable failure was encountered before any child process '
    . 'initialized successfully... httpd is exiting!';

# mpm_event's first thread of a child is one that starts the others (AH00480); here there is none.
sub threads_before { my (%o) = @_; return $o{module} =~ /rust/ ? 0 : 1 }

subtest 'threads that cannot be made' => sub {
    says_as_stock('AH03104: a worker',
        sub { fails_at_start(server(@_), pthread_create => threads_before(@_) + 1) },
        [ "alert $eagain: AH03104: ap_thread_create: unable to create worker thread", $hopeless, 'the server ends with 0' ]);
    # Whether the other threads have been seen alive, so that the server goes on, is chance.
    says_as_stock('AH00474: the listener', sub {
        my $s = server(@_);
        fail_calls(pthread_create => threads_before(@_) + 2);
        $s->start(answer => 0);
        $s->log_like(qr/AH00474.*\n/, 5);
        heal_calls();
        return [ messages($s, qr/AH00474/)->[0] ];
    }, ["alert $eagain: AH00474: ap_thread_create: unable to create listener thread"]);
};

# What is said when a child that replaces another fails in these calls.
sub replacement_fails {
    my ($s, %calls) = @_;
    $s->start or return [ 'does not start: ' . $s->console_text ];
    $s->clear_log_mark;
    fail_calls(%calls);
    kill KILL => $s->children;
    my $exit = $s->wait_exit(15);
    heal_calls();
    return [ @{ messages($s, qr/AH/) }, 'the server ends with ' . ($exit // 'nothing: it runs') ];
}

subtest 'what else a child needs' => sub {
    says_as_stock('AH03103: a pollset', sub { replacement_fails(server(@_), epoll_create => 0) },
        [ 'error (24)Too many open files: AH03103: apr_pollset_create with Thread Safety failed.', 'the server ends with 0' ]);
    says_as_stock('AH00479: blocked signals', sub { replacement_fails(server(@_), pthread_sigmask => 0) },
        [ q{emerg (22)Invalid argument: AH00479: Couldn't initialize signal thread}, 'the server ends with 0' ]);
};

done_testing;
