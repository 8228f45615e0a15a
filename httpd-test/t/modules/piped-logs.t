# Logs to programs: each request is logged once over restarts, a killed logger comes back, all of them end, no descriptor leaks.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(wait_until);
use MPMTest::Restarts qw(over_restarts);

my $s = MPMTest::Server->new(
    mpm => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 4, MaxRequestWorkers => 8, MinSpareThreads => 8 },
);
my $dir = $s->dir;
# A restart sends SIGTERM. Those that stay end with their input only: old children have more to say. The other one ends with
# what is there by then.
$s->write_file('logger.pl', <<'EOT', 0755);
use IO::Select;
my $end;
$SIG{TERM} = $ARGV[1] ? 'IGNORE' : sub { $end = 1 };
open my $out, '>>', $ARGV[0] or die "$ARGV[0]: $!";
my $in = IO::Select->new(\*STDIN);
while (1) {
    my $last = $end;
    if    ($in->can_read($last ? 0 : 0.1)) { sysread STDIN, my $text, 65536 or last; syswrite $out, $text }
    elsif ($last)                          { last }
}
EOT
# The error log goes on in the same file, so the log's readers see it all.
$s->write_file($_, '', 0666) for 'logs/error_log', 'logs/piped_log', 'logs/host_log', 'logs/mortal_log';
$s->configure(conf => <<"EOT");
LogFormat "%P \\"%r\\"" piped
CustomLog "|$^X $dir/logger.pl $dir/logs/piped_log stay" piped
CustomLog "|\$exec $^X $dir/logger.pl $dir/logs/host_log stay" piped
CustomLog "|$^X $dir/logger.pl $dir/logs/mortal_log" piped
ErrorLog "|$^X $dir/logger.pl $dir/logs/error_log stay"
EOT
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

sub loggers { return grep { ($s->slurp("/proc/$_/cmdline") // '') =~ /\0\Q$dir\E\/logger\.pl\0/ } $s->children(all => 1) }

# How often a log has this path.
sub logged { my ($log, $path) = @_; my @hits = ($s->slurp("logs/$log") // '') =~ m{"GET \Q$path\E HTTP}g; return scalar @hits }

my ($descriptors, %pids);
sub as_before { return wait_until { $s->fds == $descriptors } 5 }

sub check {
    my ($when) = @_;
    my @now;
    ok wait_until(sub { @now = loggers(); @now == 4 }, 5), "four loggers, $when" or diag "@now";
    is scalar(grep { $pids{$_}++ } @now), 0, "all of them new, $when";
    $descriptors //= $s->fds;
    ok as_before(), "as many descriptors in the parent as before, $when" or diag $s->fds, ", $descriptors before";
    (my $mark = "/?$when") =~ tr/ /-/;
    is scalar(grep { $s->get($mark)->{status} == 200 } 1 .. 5), 5, "requests, $when";
    for my $log (qw(piped_log host_log mortal_log)) {
        ok wait_until(sub { logged($log, $mark) == 5 }, 5), "all in $log, $when" or diag logged($log, $mark);
    }
    return;
}

my $count = over_restarts($s, check => \&check, old_gone => 1, clients => [
    map { { keepalive => 1, path => '/?load', think => 0.005 }, { keepalive => 0, path => '/?load', think => 0.01 } } 1 .. 3 ]);
for my $log (qw(piped_log host_log access_log)) {
    wait_until { logged($log, '/?load') >= $count->{ok} } 5;
    is logged($log, '/?load'), $count->{ok}, "under load over restarts: each request is once in $log";
}
# One that ends when it is told to, as rotatelogs does, misses what was being served.
{
    my $most = 4 * 6 + $count->{ok} / 10;
    my $missing;
    ok wait_until(sub { ($missing = $count->{ok} - logged('mortal_log', '/?load')) <= $most }, 5),
        "and little more than a request for each client and restart is missing from a mortal logger's: $missing";
}
ok $s->log_like(qr/AH00493.*AH00489.*AH00494.*AH00489/s, 5), 'the error log has it all';

# The error log's program is not watched by the server.
my @before = grep { ($s->slurp("/proc/$_/cmdline") // '') !~ /error_log/ } loggers();
kill KILL => @before;
ok wait_until(sub { my %old = map { $_ => 1 } @before; my @now = loggers(); @now == 4 && !grep { $old{$_} } @now }, 5),
    'killed loggers are replaced' or diag join ' ', loggers();
ok $s->log_like(qr/AH00106: piped log program '.*' failed unexpectedly/, 5), 'the log says so';
is scalar(grep { $s->get('/?replaced')->{status} == 200 } 1 .. 20), 20, 'requests';
ok wait_until(sub { logged('piped_log', '/?replaced') == 20 && logged('host_log', '/?replaced') == 20 }, 5), 'are logged again';
ok as_before(), 'no descriptor has leaked' or diag $s->fds, ", $descriptors before";

my @last = loggers();
$s->ends_well(crashed => 1);    # the loggers were
unlike $s->error_log =~ s/^.*piped log program.*$//mgr, qr/child pid \d+ exit signal/, 'no child crashed';
ok wait_until(sub { !grep { $s->slurp("/proc/$_/cmdline") } @last }, 5), 'the loggers have ended';    # a zombie has none
undef $s;

done_testing;
