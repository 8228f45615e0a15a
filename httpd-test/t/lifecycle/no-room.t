# Reloads under a limit of tasks that doesn't allow for two generations (RLIMIT_NPROC of the server's user, systemd's TasksMax,
# a container's pids limit): the server lives, serves all the time, and has the new configuration and all its children soon.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Messages qw(fail_calls faults heal_calls);
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 240, qw(is_stock);

plan skip_all => 'no C compiler'           unless faults();
plan skip_all => 'no lists of children in /proc' unless -r "/proc/$$/task/$$/children";

# The control process, and two children of 16 workers with two threads more each: 37 tasks.
my %mpm = (ServerLimit => 4, ThreadsPerChild => 16, ThreadLimit => 16, MaxRequestWorkers => 32, StartServers => 2,
    MinSpareThreads => 16, MaxSpareThreads => 32);

sub server {
    my (%o) = @_;
    my $s = MPMTest::Server->new(faults(), backend => 1, mpm => {%mpm}, conf => "KeepAliveTimeout 60\n", %o);
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

# A reload with a document root of its own; the time until ten requests in a row have found it.
sub reload {
    my ($s, $n) = @_;
    mkdir $s->dir . "/root$n";
    $s->write_file("root$n/index.html", "root $n\n");
    $s->configure(conf => "KeepAliveTimeout 60\nDocumentRoot " . $s->dir . "/root$n\n");
    my $begin = time;
    $s->signal('USR1');
    my $in_a_row = 0;
    my $found = wait_until {
        $in_a_row = $s->get('/', within => 5)->{body} eq "root $n\n" ? $in_a_row + 1 : 0;
        !$s->running || $in_a_row >= 10;
    } 20;
    return $found && $s->running ? time - $begin : undef;
}

# Both children are there, with all their threads, and none of a former generation.
sub both_are_up {
    my ($s) = @_;
    my @p = $s->processes;
    return @p == 2 && !grep { $_->{old_gen} || $_->{idle} + $_->{busy} < 16 } @p;
}

for my $limit (38, 45) {
    for my $busy (0, 4) {
        subtest "$limit tasks, " . ($busy ? 'requests under way' : 'idle') => sub {
            plan skip_all => 'mpm_event may end' if is_stock() && $busy;
            my $s = server();
            fail_calls(tasks => $limit);
            my $load = MPMTest::Load->new($s, [ { keepalive => 0, think => 0.02 } ], limit => 100);
            my @took;
            for my $n (1 .. 3) {
                my @holds = $s->holds($busy);
                push @took, reload($s, $n) // last;
                # The requests end long after the former children were told.
                sleep 3 if $busy && $n == 1;
                is scalar($s->release(@holds)), $busy, 'requests that were under way are answered' if $busy;
                $_->{conn}->close for @holds;
                ok wait_until(sub { both_are_up($s) }, 20, 0.1), "reload $n: two children" or last;
            }
            is scalar(@took), 3, 'the server lives' or diag $s->error_log;
            is scalar(grep { $_ < 6 } @took), 3, 'each configuration is soon in force' or diag "seconds: @took";
            my $count = $load->finish;
            is $count->{$_}, 0, "clients meanwhile, $_: none" for qw(refused bad partial lost died);
            unlike $s->error_log, qr/AH02324/, 'no talk of an end';
            heal_calls();
            $s->ends_well;
        };
    }
}

# Of 17 threads that a child makes itself none can be made, or all but the last, the listener.
for my $threads (0, 16) {
    subtest "for a while only $threads threads in each new child" => sub {
        plan skip_all => 'mpm_event ends' if is_stock();
        my $s = server();
        my %old = map { $_ => 1 } $s->children;
        fail_calls(pthread_create => $threads);
        $s->signal('USR1');
        ok $s->log_like(qr/AH0(?:3104|0474)/, 10), 'the next can not be made';
        my ($since, $refused, $slowest) = (time, 0, 0);
        while (time < $since + 1) {
            my $begin = time;
            $refused++ if $s->get('/', within => 5)->{status} != 200;
            $slowest = time - $begin if $slowest < time - $begin;
            sleep 0.02;
        }
        is $refused, 0, 'the former children serve for a second and more';
        cmp_ok $slowest, '<', 0.8, 'nobody waits';
        sleep 4;
        ok $s->running, 'five seconds later the server lives';
        heal_calls();
        ok wait_until(sub { both_are_up($s) }, 20, 0.1), 'when there is room both children are there';
        is scalar(grep { $old{$_} } $s->children), 0, 'new ones';
        my @said = $s->error_log =~ /AH0(?:3104|0474)/g;
        cmp_ok scalar(@said), '<', 40, 'attempts had pauses' or diag scalar(@said);
        $s->ends_well;
    };
}

subtest 'children that failed when there were spare threads enough' => sub {
    plan skip_all => 'mpm_event may end' if is_stock();
    # One child alone has MinSpareThreads: nobody would miss the other.
    my $s = server(mpm => { %mpm, MinSpareThreads => 1 });
    fail_calls(tasks => 38);
    my @holds = $s->holds(2);
    ok defined reload($s, 1), 'a reload with requests under way';
    is scalar($s->release(@holds)), 2, 'they are answered';
    $_->{conn}->close for @holds;
    ok wait_until(sub { both_are_up($s) }, 20, 0.1), 'both children are there in the end';
    heal_calls();
    $s->ends_well;
};

done_testing;
