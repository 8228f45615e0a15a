# What process_connection hooks may return: nothing of it makes the MPM lose, leak or keep a connection.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(probe_server conns probe wait_until);

my @MODES = qw(declined untouched done error handler badstate keepalive);
my %port  = map { $_ => MPMTest::Server->free_port } @MODES;
my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8 },
    conf => "KeepAliveTimeout 1\n" . join '',
    map {"Listen 127.0.0.1:$port{$_}\n<VirtualHost 127.0.0.1:$port{$_}>\nProbeOddState $_\n</VirtualHost>\n"}
        @MODES,
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my ($child) = $s->children;

my %answer = (declined => '', map { $_ => "$_: hello\n" } qw(untouched done error handler badstate));
my %logged = map { $_ => 1 } qw(declined error handler badstate);

for my $mode (grep { $_ ne 'keepalive' } @MODES) {
    $s->clear_log_mark;
    my @c = conns($s, 20, port => $port{$mode});
    $_->send("hello\nand more that nobody reads\n") for @c;
    my $closed = grep { $_->eof_within(2) } @c;
    is $closed, 20, "$mode: closed at once, 20 times";
    is scalar(grep { $_->buffered eq $answer{$mode} } @c), 20, "$mode: what the hook wrote has arrived";
    is scalar(grep { $_->error } @c), 0, "$mode: no reset, though not all was read";
    if ($logged{$mode}) { ok $s->log_like(qr/AH10111/), "$mode: AH10111" }
    else                { unlike $s->log_new, qr/AH10111/, "$mode: nothing is logged" }
    $_->close for @c;
}

{
    my ($c) = conns($s, 1, port => $port{keepalive});
    for my $round (1 .. 3) {
        $c->send("line $round\n");
        ok wait_until(sub { $c->_fill(time); length $c->buffered }, 3), "keepalive: round $round is flushed";
        is $c->{in}, "round $round: line $round\n", 'and right';
        $c->{in} = '';
    }
    my $begin = time;
    ok $c->eof_within(3), 'then KeepAliveTimeout applies';
    cmp_ok time - $begin, '>', 0.8, 'after its time';
}

# pre_connection counts each, and a cleanup of the connection's pool each end; the asking one is still open.
ok wait_until(sub { my $n = probe($s, 'counters'); $n->{closed} == $n->{pre_connection} - 1 }, 5),
    'no connection is left over' or diag explain probe($s, 'counters');
is_deeply [$s->children], [$child], 'the child is still the same';
my $n = probe($s, 'counters');
is $n->{suspend}, $n->{resume} + 0, 'every suspend_connection had its resume_connection' or diag explain $n;
$s->stop;
undef $s;

done_testing;
