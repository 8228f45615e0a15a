# mod_systemd: the service manager hears READY=1, RELOADING=1 and a STATUS line with the counts of workers.
use strict;
use warnings;
use Test::More;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Time::HiRes qw(time);
use MPMTest::Test within => 90, qw(shared wait_until);

# Debian's packages are without it: MPMTEST_SYSTEMD names one that "apxs -c mod_systemd.c -lsystemd" made.
my $module = $ENV{MPMTEST_SYSTEMD} // MPMTest::Server::module_dir() . '/mod_systemd.so';
plan skip_all => 'no mod_systemd' unless -f $module;

my $path = "$ENV{MPMTEST_TMP}/notify";
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "$path: $!";
chmod 0777, $path;

my $s = MPMTest::Server->new(
    backend  => 1,
    env      => { NOTIFY_SOCKET => $path },
    pre_conf => qq{LoadModule systemd_module "$module"\n},
    mpm => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 4, MaxRequestWorkers => 8, MinSpareThreads => 8, MaxSpareThreads => 24 },
);

# What has been said until something fits the pattern.
sub said {
    my ($qr, $within) = @_;
    my ($end, @said) = time + $within;
    while ((my $left = $end - time) > 0) {
        IO::Select->new($socket)->can_read($left) or last;
        $socket->recv(my $text, 2000);
        push @said, $text;
        last if $text =~ $qr;
    }
    return join "--\n", @said;
}

$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my $pid = $s->pid;
like said(qr/MAINPID/, 5), qr/^RELOADING=1\nSTATUS=Reading.*^READY=1\nSTATUS=Configuration loaded.*^READY=1\nSTATUS=Processing requests\.\.\.\nMAINPID=$pid/sm,
    'a start';
my @holds = $s->holds(3);
for my $n (1 .. 3) {
    ok $s->graceful, "graceful restart $n";
    my $text = said(qr/READY=1\nSTATUS=Configuration loaded/, 10);    # the STATUS of every ten seconds says READY=1, too
    like $text, qr/^RELOADING=1\n.*^READY=1\nSTATUS=Configuration loaded/sm, 'reloading, then ready';
}
is scalar($s->release(@holds)), 3, 'requests of before are answered';
$_->{conn}->close for @holds;
ok wait_until(sub { !grep { $_->{old_gen} } $s->processes }, 10), 'the old children have gone';

@holds = $s->holds(3);
said(qr/Total requests/, 25);    # every ten seconds; the first may be of before
like said(qr/Total requests/, 25), qr{^READY=1\nSTATUS=Total requests: [1-9]\d*; Idle/Busy workers 62/37;}m, 'a STATUS line: three of eight workers are busy, in per cent';
is scalar($s->release(@holds)), 3, 'answered';

ok $s->hard_restart, 'hard restart';
like said(qr/MAINPID/, 5), qr/^RELOADING=1\n.*^READY=1\n.*MAINPID=$pid/sm, 'is said as well';
$s->ends_well;
undef $s;

done_testing;
