# PR 62009: a thread that a module made in child_init took signals meant for the MPM, whose handlers crashed there.
use strict;
use warnings;
use Config;
use Test::More;
use MPMTest::Test within => 60, qw(is_stock probe probe_server wait_until);

my %NUMBER = (HUP => 1, USR1 => 10, TERM => 15, WINCH => 28);
my ($TGKILL) = map { $Config{archname} =~ /^$_->[0]/ ? $_->[1] : () } ['x86_64', 234], ['aarch64', 131];
plan skip_all => 'signals for single threads: on Linux, x86-64 or ARM64' if $^O ne 'linux' || !$TGKILL;

my $s = probe_server(
    mpm => { StartServers => 1, ServerLimit => 2, ThreadsPerChild => 4, MaxRequestWorkers => 8, MinSpareThreads => 1,
        MaxSpareThreads => 100 },
    probe => 'ProbeThread On',
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my ($child) = $s->children;
my ($keep) = $s->open_conn;

# A mask of a thread, from its line in /proc.
sub mask {
    my ($tid, $name) = @_;
    no warnings 'portable';
    return ($s->slurp("/proc/$child/task/$tid/status") // '') =~ /^$name:\s+([0-9a-f]+)/m ? hex $1 : 0;
}

my $thread = probe($s, 'thread');
is $thread->{running}, 1, 'a thread that a module made in child_init';
is $thread->{"SIG$_"}, 'blocked', "has SIG$_ blocked" for sort keys %NUMBER;
is $thread->{SIGINT}, 'blocked', 'and SIGINT';

# Main thread, 4 workers, listener, the module's.
my @threads = map { m{/(\d+)$} } glob "/proc/$child/task/*";
is scalar(@threads), 7, 'the child has 7 threads';
for my $name (sort keys %NUMBER) {
    my $bit = 1 << $NUMBER{$name} - 1;
    for my $tid (grep { $_ != $child } @threads) {
        syscall($TGKILL, $child + 0, $tid + 0, $NUMBER{$name}) == 0 or die "tgkill: $!";
    }
    # One that a thread had taken would not be pending any more. Stock wakes its listener by SIGHUP.
    my $taken = is_stock() && $name eq 'HUP' ? 1 : 0;
    cmp_ok scalar(grep { mask($_, 'SigPnd') & $bit } @threads), '>=', 6 - $taken, "SIG$name sent to each thread: none takes it";
    kill $name => $child for 1 .. 3;
    my @status = map { $keep->request('/index.html'); $keep->response(5)->{status} } 1 .. 5;
    is_deeply \@status, [ (200) x 5 ], "SIG$name sent to the process: it serves on";
}
is_deeply [ $s->children ], [$child], 'the same child all the time';
is probe($s, 'thread')->{running}, 1, 'the module\'s thread is still there';
unlike $s->error_log, qr/exit signal|event=child_stopping/, 'and the child was not told to end';

# Signals for the parent do their work all the same, over pipes.
ok $s->graceful(old_gone => 1), 'SIGUSR1 to the parent: the child finishes';
($child) = $s->children;
ok wait_until(sub { (probe($s, 'thread')->{running} // 0) == 1 }, 5), 'the new one has such a thread as well';
kill TERM => $child for 1 .. 3;
$s->ends_well;
undef $s;

done_testing;
