# PR 62658, 60487, 64533: signals in quick succession, during the start or a reload, crashed the server or got it stuck.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use MPMTest::Test within => 240, qw(wait_until);

my $seed = $ENV{MPMTEST_SEED} || int rand 1_000_000;
srand $seed;
diag "MPMTEST_SEED=$seed";

sub server {
    return MPMTest::Server->new(backend => 1, mpm => { ServerLimit => 4, ThreadLimit => 8, ThreadsPerChild => 4,
        MaxRequestWorkers => 16, StartServers => 3, MinSpareThreads => 1, MaxSpareThreads => 100 });
}

# Until httpd has its handlers in place a signal just kills the program.
sub listens {
    my ($s) = @_;
    my $mask = 1 << 10 - 1 | 1 << 1 - 1 | 1 << 15 - 1;    # USR1, HUP, TERM
    no warnings 'portable';
    return wait_until {
        my $status = $s->slurp('/proc/' . $s->pid . '/status') // '';
        !$s->running || $status =~ /^SigCgt:\s+([0-9a-f]+)/m && (hex($1) & $mask) == $mask;
    } 10, 0.0005;
}

# $n signals, mostly restarts, at random intervals of up to $gap seconds; ends with a stop.
sub storm {
    my ($s, $n, $gap) = @_;
    my @sent = map { (qw(USR1 USR1 USR1 HUP HUP TERM))[ rand 6 ] } 1 .. $n;
    for my $signal (@sent, 'TERM') { sleep rand $gap; $s->signal($signal) if $s->running }
    return "@sent TERM";
}

# How it ended: by itself, with 0, without a child left over, with books that add up.
sub ended {
    my ($s, $name) = @_;
    # A SIGTERM is lost if it comes in the moment in which httpd forgets the signals of the generation before.
    my $end = $s->stop(again => 1, within => 10);
    my $log = $s->error_log;
    my %got = (exit => $end->{exit}, killed => $end->{killed}, left => "@{ $end->{leftover} }", pid_file => -e $s->pid_file || 0,
        crashes => join("\n", $log =~ /^(.*(?:AH0005[0-2]|AH00060|exit signal|panicked|Assertion|Segmentation).*)$/mg),
        books => join(', ', $s->child_events_faults(stopped => 1)));
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply \%got, { exit => 0, killed => 0, left => '', pid_file => 0, crashes => '', books => '' }, $name;
}

for my $n (1 .. 12) {
    my $s = server();
    $s->start(answer => 0);
    ok listens($s), "start $n" or last;
    my $sent = storm($s, int(1 + rand 8), 0.03);
    ended($s, "$sent, as it starts: it ends in order") or last;
}

for my $n (1 .. 10) {
    my $s = server();
    ok $s->start, "start $n" or last;
    my $half = $s->open_conn;
    $half->send("GET / HTTP/1.1\r\nHost:") if $half;
    my @busy = $n % 5 ? () : $s->hold;
    $s->signal((qw(USR1 HUP))[ rand 2 ]);
    sleep rand 0.1;
    my $sent = storm($s, int(3 + rand 12), (0.004, 0.03)[ rand 2 ]);
    ended($s, "$sent, during a reload: it ends in order") or last;
}

{
    my $s = server();
    ok $s->start, 'started';
    for my $signal (map { (qw(USR1 HUP USR1 USR1))[ $_ % 4 ] } 1 .. 60) { $s->signal($signal); sleep 0.003 }
    ok wait_until(sub { $s->answers }, 15), 'it serves after 60 restarts';
    ended($s, 'and ends in order');
}

{
    my $s = server();
    ok $s->start, 'started';
    my $hold = $s->hold;
    $s->signal('HUP');
    ok $s->log_like(qr/AH00494/, 5), 'a hard restart waits for a busy child';
    sleep 0.2;
    $s->signal('TERM');
    is $s->wait_exit(14), 0, 'SIGTERM meanwhile is not forgotten';
    ended($s, 'it ends in order');
}

done_testing;
