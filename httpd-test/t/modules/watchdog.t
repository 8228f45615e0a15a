# mod_watchdog: heartbeats with the right figures and health checks, from one child at a time, over restarts.
use strict;
use warnings;
use Test::More;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);
use MPMTest::Test within => 90, qw(shared wait_until);
use MPMTest::Restarts qw(over_restarts);

my @MODULES = qw(watchdog heartbeat proxy proxy_http proxy_balancer proxy_hcheck lbmethod_byrequests slotmem_shm);
for my $name (@MODULES) { plan skip_all => "no mod_$name" unless shared()->has_module($name) }

my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => 0) or die "udp: $!";
my $member = MPMTest::Server->free_port;
my $s = MPMTest::Server->new(
    backend  => 1,
    modules  => \@MODULES,
    loglevel => 'info watchdog:debug proxy_hcheck:debug ' . MPMTest::Server->mpm_name . ':debug',
    mpm  => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 4, MaxRequestWorkers => 8, MinSpareThreads => 8,
        MaxSpareThreads => 24 },
    conf => <<"EOT",
WatchdogInterval 200ms
HeartbeatAddress 127.0.0.1:@{[ $udp->sockport ]}
<Proxy "balancer://checked">
    BalancerMember "http://127.0.0.1:$member" hcmethod=TCP hcinterval=200ms hcpasses=1 hcfails=1
</Proxy>
ProxyPass "/checked/" "balancer://checked/"
EOT
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# Heartbeats until one says so many ready and busy; the last one that came.
sub heartbeat {
    my ($ready, $busy, $within) = @_;
    my $end = time + $within;
    my $last = 'none';
    while ((my $left = $end - time) > 0 && $last ne "v=1&ready=$ready&busy=$busy") {
        $udp->recv($last, 200) if IO::Select->new($udp)->can_read($left);
    }
    return $last;
}

sub old_ones_dropped { while (IO::Select->new($udp)->can_read(0)) { $udp->recv(my $old, 200) } return }

sub check {
    my ($when) = @_;
    my @holds = $s->holds(3);
    old_ones_dropped();
    is heartbeat(5, 3, 8), 'v=1&ready=5&busy=3', "three busy and five ready workers, $when";
    is scalar($s->release(@holds)), 3, "answered, $when";
    $_->{conn}->close for @holds;
    $s->clear_log_mark;
    my $listener = member();
    ok $s->log_like(qr/AH03251: Health check TCP Status \(0\) for/, 8), "a member is checked, $when";
    $s->clear_log_mark;    # it may have been left out before it was there
    close $listener;
    ok $s->log_like(qr/AH03303: .*Health check DISABLING http:\/\/127\.0\.0\.1:$member/, 8), "it goes and is left out, $when";
    $s->clear_log_mark;
    $listener = member();
    ok $s->log_like(qr/AH03302: .*Health check ENABLING http:\/\/127\.0\.0\.1:$member/, 8), "it comes back, $when";
    return;
}

sub member {
    return IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', LocalPort => $member, ReuseAddr => 1) // die "member: $!";
}

# The pid of the child whose thread has said last that it runs the watchdog of that name.
sub running { my ($name) = @_; my @pids = $s->error_log =~ /\[pid (\d+):tid \d+\] \S+ AH02972: .*Watchdog \(\Q$name\E\) running/g; return $pids[-1] }

over_restarts($s, check => \&check, old_gone => 1,
    clients => [ { keepalive => 1, think => 0.03 }, { keepalive => 0, think => 0.03 } ]);

# A finishing child leaves the watchdog to the new generation, however long its requests take.
{
    my @holds = $s->holds(6);    # both children have some
    my %old = map { $_ => 1 } $s->children;
    my %before = map { $_ => running($_) } qw(_singleton_ _proxy_hcheck_);
    is scalar(grep { $old{$_} } values %before), 2, 'each watchdog runs in a child';
    $s->clear_log_mark;
    ok $s->graceful, 'graceful restart';
    for my $name (sort keys %before) {
        ok $s->log_like(qr/\[pid $before{$name}:tid \d+\] \S+ AH02973: Singleton Watchdog \($name\) stopping/, 8), "it stops $name";
    }
    ok wait_until(sub { my $pid = running('_singleton_'); !$old{$pid} }, 8), 'a new child runs the heartbeat';
    old_ones_dropped();
    is heartbeat(8, 0, 8), 'v=1&ready=8&busy=0', 'and counts its own generation only';
    is scalar($s->release(@holds)), 6, 'the old requests are answered';
    $_->{conn}->close for @holds;
}

my $begin = time;
$s->ends_well;
cmp_ok time - $begin, '<', 8, sprintf 'its threads do not hold up the end: %.2f s', time - $begin;
undef $s;

done_testing;
