# PR 61551: a process_connection hook that declines, fails, or leaves a state that is none, leaked its connection.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 90, qw(async beyond conns probe probe_server wait_until);

my @MODES = qw(declined untouched done error handler badstate keepalive);
my %port  = map { $_ => MPMTest::Server->free_port } @MODES;
my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8,
        AsyncRequestWorkerFactor => 20 },
    conf => "KeepAliveTimeout 3\n" . join '',
    map {"Listen 127.0.0.1:$port{$_}\n<VirtualHost 127.0.0.1:$port{$_}>\nProbeOddState $_\n</VirtualHost>\n"}
        @MODES,
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my ($child) = $s->children;
# The asking connection is one of those that mod_status counts.
my %nothing = (total => 0, writing => 0, keepalive => 0, closing => 0, busy => 1, idle => 7);

# Waits for mod_status to show nothing but this. In the total the asking connection may be counted or not.
sub shows {
    my ($name, %other) = @_;
    my %want = (%nothing, %other);
    my $got;
    my $ok = wait_until {
        $got = async($s);
        !grep { $_ eq 'total' ? ($got->{total} - $want{total}) !~ /^[01]$/ : $got->{$_} != $want{$_} } keys %want;
    } 2;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($ok, beyond($name)) || diag explain $got;
}

my %answer = (declined => '', map { $_ => "$_: hello\n" } qw(untouched done error handler badstate));
# What the hooks returned and the state they left; httpd 2.4 says nothing of OK with the state untouched.
my %logged = (declined => '-1 (state 1)', error => '500 (state 1)', handler => '0 (unexpected state 2)',
    badstate => qr/0 \(unexpected state \d\d\)/);

shows('at first there is nothing');
my $files = $s->fds($child);

for my $mode (grep { $_ ne 'keepalive' } @MODES) {
    $s->clear_log_mark;
    my @c = conns($s, 20, port => $port{$mode});
    $_->send("hello\nand more that nobody reads\n") for @c;
    my $closed = grep { $_->eof_within(5) } @c;
    is $closed, 20, "$mode: closed at once, 20 times";
    is scalar(grep { $_->buffered eq $answer{$mode} } @c), 20, "$mode: what the hook wrote has arrived";
    shows("$mode: all 20 linger", total => 20, closing => 20);
    is scalar(grep { $_->send('more') } grep { !$_->error && $_->send('x' x 50_000) } @c), 20,
        "$mode: what the client still sends is taken, without a reset";
    my $said = $logged{$mode};
    if ($said) {
        $said = quotemeta $said unless ref $said;
        $said = qr/AH10111: process_socket: connection processing returned $said: closing$/m;
        ok wait_until(sub { $s->log_count($said) == 20 }, 3), "$mode: AH10111 for each";
    }
    is $s->log_count(qr/AH10111/), $said ? 20 : 0, "$mode: and no other";
    $_->close for @c;
    shows("$mode: nothing is left when the clients have gone");
}

{
    my ($c) = conns($s, 1, port => $port{keepalive});
    my $begin;
    for my $round (1 .. 3) {
        $begin = time;
        $c->send("line $round\n");
        ok wait_until(sub { $c->_fill(time); length $c->buffered }, 3), "keepalive: round $round is flushed";
        is $c->{in}, "round $round: line $round\n", 'and right';
        $c->{in} = '';
    }
    shows('keepalive: then it is kept alive', total => 1, keepalive => 1);
    ok $c->eof_within(8), 'until KeepAliveTimeout';
    cmp_ok time - $begin, '>', 2.8, 'after its time';
}

# The peer has reset the connection before the hook is called, or while it is.
for my $mode (qw(declined error badstate)) {
    for my $line ('', "hello\n") { $_->send($line), $_->reset for conns($s, 20, port => $port{$mode}) }
}

shows('nothing is left of clients that reset their connections');
# pre_connection counts each, and a cleanup of the connection's pool each end; the asking one is still open.
my $n;
ok wait_until(sub { $n = probe($s, 'counters'); $n->{closed} == $n->{pre_connection} - 1 }, 5),
    'each connection\'s pool has been cleared' or diag explain $n;
is $n->{suspend}, $n->{resume} + 0, beyond('every suspend_connection had its resume_connection') or diag explain $n;
ok wait_until(sub { $s->fds($child) <= $files }, 3), 'each file descriptor is closed' or diag $files, ' ', $s->fds($child);
is_deeply [$s->children], [$child], 'the child is still the same';
$s->ends_well;
undef $s;

done_testing;
