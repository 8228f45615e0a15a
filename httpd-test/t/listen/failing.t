# accept(2) fails at one listening socket, or its watching does: the others go on, the log has the cause and not the same again
# and again, nobody burns the processor, and when it works again it is used again.
use strict;
use warnings;
use Errno qw(EBADF EINVAL EMFILE ENETDOWN ENFILE ENOBUFS EPERM EPROTO);
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Messages qw(fail_calls faults heal_calls);
use MPMTest::Server;
use MPMTest::Test within => 180, qw(beyond is_stock probe_server wait_until);

plan skip_all => 'no C compiler' unless faults();

my ($good, $bad) = map { MPMTest::Server->free_port } 1, 2;
my $s = probe_server(faults(), backend => 1, port => $good, listen => [ map {"127.0.0.1:$_"} $good, $bad ], loglevel => 'warn',
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4 });
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my @children = $s->children;

sub status_at { my ($port, $within) = @_; return $s->get('/probe/query?code=1', port => $port, within => $within)->{status} }

# A server that has logged nothing yet.
sub renew {
    $s->stop;
    $s->start or die 'does not start: ' . $s->console_text;
    @children = $s->children;
    return;
}

# How many requests the good port answers in two seconds, each on a connection of its own; half of one may be the client's.
sub answered {
    my ($end, $n) = (time + 2, 0);
    while (time < $end) { $n++ if status_at($good, 2) == 200 }
    return $n;
}

# The processor time of the child over a second of rest, in ticks of 10 ms.
sub ticks_in_a_second {
    my ($child) = $s->children or return 'none';
    my $before = $s->ticks($child);
    sleep 1;
    return ($s->ticks($child) // 0) - ($before // 0);
}

my $usual = answered();
my %cause = (EPERM, 'Operation not permitted', EINVAL, 'Invalid argument', ENETDOWN, 'Network is down', EPROTO, 'Protocol error');
for my $error (sort { $a <=> $b } keys %cause) {
    subtest "at one port: $cause{$error}" => sub {
        $s->clear_log_mark;
        fail_calls(accept => "0 $error $bad");
        my $waits = $s->open_conn(port => $bad);
        $waits->request('/probe/query?code=1');
        my $n = answered();
        cmp_ok $n, '>', $usual / 4, beyond("the other port is served as usual: $n requests of $usual");
        cmp_ok ticks_in_a_second(), '<', 50, beyond('nobody burns the processor');
        my @lines = split /\n/, $s->log_new;
        cmp_ok scalar @lines, '<', 5, beyond('the log has few lines');
        ok $s->log_like(qr/:error\] .*\(\d+\)\Q$cause{$error}\E: .*127\.0\.0\.1:$bad\b/, 3), beyond('with the cause') unless is_stock();
        unlike $s->log_new, qr/open files/, 'and no wrong advice';
        is_deeply [ $s->children ], \@children, beyond('the child lives');
        heal_calls();
        is $waits->response(5)->{status}, 200, beyond('then who waited there is served');
        renew();
    };
}

subtest 'a descriptor that is no socket any more' => sub {
    is status_at($bad, 5), 200, 'the port works';
    fail_calls(accept => '0 ' . EBADF . " $bad");
    my $waits = $s->open_conn(port => $bad);
    $waits->request('/probe/query?code=1');
    my @new;
    ok wait_until(sub { @new = grep { $_ != $children[0] } $s->children }, 10), beyond('another child, which has its own, takes over');
    is status_at($good, 5), 200, beyond('it serves');
    my $end = time + 3;
    status_at($good, 2) while time < $end;
    is_deeply [ $s->children ], \@new, beyond('and stays, although there it never worked');
    heal_calls();
    is $waits->response(5)->{status}, 200, beyond('then who waited there is served');
    renew();
};

subtest 'a child that has no descriptor left, and no connection either' => sub {
    fail_calls(accept => '30 ' . EMFILE . ' 0');    # in each child the 31st attempt fails, and all later ones
    my (%served, @failed);
    $served{$_} = 1 for $s->children;
    my $end = time + 30;
    while (time < $end && keys %served < 3) {
        my $got = $s->get('/probe/query?code=1', within => 10);
        push @failed, $got unless $got->{status} == 200;
        $served{$_} = 1 for $s->children;
    }
    cmp_ok keys %served, '>=', 3, beyond('one child after the other serves');
    is_deeply \@failed, [], beyond('and every client is served');
    heal_calls();
    renew();
};

subtest 'no child has a descriptor' => sub {
    fail_calls(accept => '0 ' . EMFILE . ' 0');
    my @new;
    my $waits = $s->open_conn;
    $waits->request('/probe/query?code=1');
    ok wait_until(sub { @new = grep { $_ != $children[0] } $s->children }, 10), beyond('another child is tried');
    sleep 3;
    is_deeply [ $s->children ], \@new, beyond('once: it does no better, and stays');
    heal_calls();
    is $waits->response(5)->{status}, 200, beyond('then who waited is served');
    renew();
};

for my $lack ([ ENFILE, 'Too many open files in system', 'all processes of the system together' ],
    [ ENOBUFS, 'No buffer space available', 'short of memory for sockets' ]) {
    my ($error, $cause, $advice) = @$lack;
    subtest "the system: $cause" => sub {
        $s->clear_log_mark;
        fail_calls(accept => "0 $error 0");
        my @wait = map { $s->open_conn } 1 .. 3;
        $_->request('/probe/query?code=1') for @wait;
        ok $s->log_like(qr/\($error\)\Q$cause\E: .*AH02179/, 3), 'the log has the cause';
        ok $s->log_like(qr/rust_event: can't accept .*\Q$advice\E/, 3), 'and what it means' unless is_stock();
        sleep 2;    # much longer than a child with lost descriptors goes on
        my @lines = $s->log_new =~ /AH02179/g;
        cmp_ok scalar @lines, '<=', 2, beyond('once');
        is_deeply [ $s->children ], \@children, beyond('a new child would do no better: the child lives');
        heal_calls();
        is scalar(grep { $_->response(5)->{status} == 200 } @wait), 3, beyond('then those who waited are served');
        renew();
    };
}

subtest 'listening sockets that cannot be watched again' => sub {
    my @busy = $s->holds(4);
    my $waits = $s->open_conn;
    $waits->request('/probe/query?code=1');
    $s->at_rest;    # now nobody watches them
    $s->clear_log_mark;
    fail_calls(epoll_add => 0);
    is $s->release(@busy), 4, 'all were busy, and are so no more';
    $_->{conn}->close for @busy;
    sleep 3;
    my @lines = $s->log_new =~ /: rust_event: /g;
    cmp_ok scalar @lines, '<=', 2, beyond('it is said once for each');
    heal_calls();
    is $waits->response(5)->{status}, 200, beyond('then they are watched again');
    is_deeply [ $s->children ], \@children, 'by the same child';
} unless is_stock();

$s->ends_well;
done_testing;
