# ListenCoresBucketsRatio: as many sockets for each address as there are buckets (SO_REUSEPORT), and for each bucket
# children of its own.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 100, ();

chomp(my $CORES = `getconf _NPROCESSORS_ONLN`);
plan skip_all => 'one core has one bucket' if $CORES < 2;
my $THREADS = 4;

sub server {
    my ($ratio, %mpm) = @_;
    my $limit = $CORES + 4;
    my $s = MPMTest::Server->new(mpm => { StartServers => 1, ServerLimit => $limit, ThreadsPerChild => $THREADS,
        MaxRequestWorkers => $limit * $THREADS, MinSpareThreads => 1, MaxSpareThreads => 2 * $CORES * $THREADS, %mpm },
        pre_conf => "ListenCoresBucketsRatio $ratio\n", backend => 1, args => [ '-e', 'info' ]);
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

# The listening sockets of the server's port: inode => 1.
sub sockets {
    my ($s) = @_;
    my $port = sprintf '%04X', $s->port;
    open my $fh, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";
    return { map { /^\s*\d+: 0100007F:$port 00000000:0000 0A (?:\S+ +){5}(\d+)/ ? ($1 => 1) : () } <$fh> };
}

# Those that each child has: pid => 'inode ...'.
sub sockets_of_children {
    my ($s) = @_;
    my $all = sockets($s);
    my %has;
    for my $pid ($s->children) {
        my @own = sort map { (readlink($_) // '') =~ /^socket:\[(\d+)\]$/ && $all->{$1} ? $1 : () } glob "/proc/$pid/fd/*";
        $has{$pid} = "@own";
    }
    return \%has;
}

# Has each bucket children, and each child one bucket?
sub shared_out {
    my ($s) = @_;
    my %seen = map { $_ => 1 } values %{ sockets_of_children($s) };
    return join(',', sort keys %seen) eq join ',', sort keys %{ sockets($s) };
}

# The children that serve 200 new connections.
sub servers {
    my ($s) = @_;
    $s->write_file('logs/access_log', '');
    my $good = grep { $s->get('/')->{status} == 200 } 1 .. 200;
    is $good, 200, '200 connections are served';
    my %pids = map { $_ => 1 } $s->access_log =~ /^(\d+) /mg;
    return sort { $a <=> $b } keys %pids;
}

subtest 'ratio 1: a bucket for each core' => sub {
    my $s = server(1);
    like $s->console_text, qr/AH02819: Using $CORES listeners bucket\(s\) based on $CORES online CPU cores and a ratio of 1$/m, 'AH02819';
    is scalar keys %{ sockets($s) }, $CORES, "$CORES sockets";
    ok wait_until(sub { $s->children == $CORES }, 5), 'as many children, StartServers being 1';
    ok wait_until(sub { shared_out($s) }, 5), 'each has one of the sockets' or diag explain sockets_of_children($s);
    is_deeply [ servers($s) ], [ $s->children ], 'by all of them';

    my ($gone) = $s->children;
    my $socket = sockets_of_children($s)->{$gone};
    kill KILL => $gone;
    ok wait_until(sub { my $has = sockets_of_children($s); !$has->{$gone} && shared_out($s) }, 5), 'a child is killed: its bucket gets another';

    my ($first) = keys %{ sockets($s) };
    ok $s->graceful(old_gone => 1), 'graceful restart';
    is scalar keys %{ sockets($s) }, $CORES, 'the same number of sockets';
    ok wait_until(sub { shared_out($s) }, 5), 'shared out again' or diag explain sockets_of_children($s);
    is_deeply [ servers($s) ], [ $s->children ], 'by all of them';

    $s->configure(pre_conf => '');
    ok $s->hard_restart(old_gone => 1), 'a hard restart without the directive';
    is scalar keys %{ sockets($s) }, 1, 'one socket is left';
    is_deeply [ servers($s) ], [ $s->children ], 'by all of them';
    $s->ends_well(crashed => 1);
};

subtest 'a ratio beyond the cores' => sub {
    my $s = server($CORES + 1);
    like $s->console_text, qr/AH02819: Using 1 listeners bucket\(s\) based on $CORES online CPU cores and a ratio of @{[ $CORES + 1 ]}$/m, 'AH02819';
    is scalar keys %{ sockets($s) }, 1, 'one socket';
    $s->ends_well;
};

# The slot of the child that serves a connection.
sub slot_of {
    my ($s, $conn) = @_;
    my $ports = sprintf '0100007F:%04X 0100007F:%04X', $s->port, $conn->port;
    open my $fh, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";
    my ($inode) = map { /^\s*\d+: $ports (?:\S+ +){6}(\d+)/ ? $1 : () } <$fh>;
    my ($pid) = grep { my $pid = $_; grep { (readlink($_) // '') eq "socket:[$inode]" } glob "/proc/$pid/fd/*" } $s->children;
    return (map { $_->{pid} == ($pid // 0) ? $_->{slot} : () } $s->child_events)[-1] // -1;
}

subtest 'the lowest free slots are not one for each bucket' => sub {
    my $s = server(1, ServerLimit => 3 * $CORES, MaxRequestWorkers => 3 * $CORES * $THREADS);
    my $stays;
    for (1 .. 100) {
        my $hold = $s->hold or last;
        if (slot_of($s, $hold->{conn}) == 1) { $stays = $hold; last }
        $s->release($hold);
    }
    ok $stays, 'a request in the child in slot 1' or return;
    ok $s->graceful, 'graceful restart: that child cannot end yet';
    ok wait_until(sub { $CORES - 1 == grep { $_->{event} eq 'stopped' } $s->child_events }, 15), 'the others do' or diag explain $s->child_events;
    $s->signal('USR1');
    ok $s->log_like(qr/AH00493.*AH00489.*AH00493.*AH00489/s, 10), 'another graceful restart: slot 0 is free, slot 1 is not';
    my ($good, $slowest) = (0, 0);
    for (1 .. 20 * $CORES) {
        my $begin = time;
        $good++ if $s->get('/', within => 30)->{status} == 200;
        $slowest = time - $begin if time - $begin > $slowest;
    }
    is $good, 20 * $CORES, 'new connections are served, in whatever bucket they come';
    cmp_ok $slowest, '<', 8, sprintf 'soon: the slowest after %.1f s', $slowest;
    is scalar($s->release($stays)), 1, 'the first child\'s request is answered';
    $s->ends_well;
};

subtest 'restarts under load' => sub {
    my $s = server(1);
    my $load = MPMTest::Load->new($s, [ map { { keepalive => $_ % 2, think => 0.002 } } 1 .. 4 ], limit => 30);
    ok $s->graceful, "restart $_" for 1 .. 5;
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 50, 'requests were answered';
    is $count->{$_}, 0, "$_: none" for qw(bad partial late died);
    $s->ends_well;
};

done_testing;
