package MPMTest::Run;

# Apache::Test's test run with this suite's ports and configuration, and a count of tests at its end.

use strict;
use warnings;

use base 'Apache::TestRun';

use Apache::TestHarness ();
use Apache::TestServer  ();
use IO::Socket::INET    ();
use MPMTest::Certificate ();
use TAP::Harness        ();

# Virtual hosts of the shared server: @port_<name>@ in t/conf/*.in, MPMTest::Shared->port('<name>') in tests.
our @PORTS = qw(ka1 ka2 names ssl h2c);

my $LOWEST  = 10_000;
my $HIGHEST = 30_000;    # below the ports that outgoing connections use

# Consecutive ports, nobody listening on any of them.
sub free_ports {
    my ($count) = @_;
    for (1 .. 100) {
        my $first = $LOWEST + int rand($HIGHEST - $LOWEST);
        my @held = map {
            IO::Socket::INET->new(Listen => 1, LocalAddr => '0.0.0.0', LocalPort => $_, ReuseAddr => 1) || ()
        } $first .. $first + $count - 1;
        return $first .. $first + $count - 1 if @held == $count;
    }
    die "no free ports\n";
}

sub new_test_config {
    my ($self) = @_;
    MPMTest::Certificate::write_to("$ENV{MPMTEST_WORK}/tls") or die "no certificate\n";
    my ($port, @more) = free_ports(1 + @PORTS);
    my %vars = (
        port => $port, servername => '127.0.0.1', httpd_conf => "$ENV{MPMTEST_WORK}/load.conf", httpd => $ENV{HTTPD},
        apxs => $ENV{APXS}, startup_timeout => 60, mpmtest_work => $ENV{MPMTEST_WORK},
        defines => $ENV{MPM_STOCK} ? 'MPMTEST_STOCK' : '',
    );
    @vars{map {"port_$_"} @PORTS} = @more;
    $self->{conf_opts} = { %{ $self->{conf_opts} }, %vars };
    return $self->SUPER::new_test_config;
}

# Core files are off (../run); t/zz/errorlog.t looks for crashes.
sub warn_core { return }
sub scan_core { return }

# Files that need no message below a notice: they run once more at LogLevel warn, as a server comes.
our @QUIET = map {"t/lifecycle/$_.t"} qw(graceful hard-restart parent-in-need scoreboard stop upgrade);

sub run_tests {
    my ($self) = @_;
    return unless $self->{opts}{'run-tests'};
    my @tests = Apache::TestHarness->get_tests({ tests => $self->{tests}, order => $self->{opts}{order} });
    my @sums = _run($self, @tests);
    if (!$ENV{MPMTEST_LOGLEVEL}) {
        my %quiet = map { $_ => 1 } @QUIET;
        my @again = grep { $quiet{ s{^(?:.*/)?(?=t/lifecycle/)}{}r } } @tests;
        local $ENV{MPMTEST_LOGLEVEL} = 'warn';
        print "at LogLevel warn:\n" if @again;
        push @sums, _run($self, @again) if @again;
    }
    my %total;
    for my $sum (@sums) {
        my $failed = $sum->failed;
        for my $file ($sum->descriptions) {    # a file that died without a failing test counts as one
            my ($parser) = $sum->parsers($file);
            $failed++ if $parser->has_problems && !$parser->failed;
        }
        $total{passed}  += $sum->passed;
        $total{failed}  += $failed;
        $total{files}   += $sum->descriptions;
        $total{skipped} += grep { $_->skip_all } $sum->parsers($sum->descriptions);
    }
    open my $fh, '>', "$ENV{MPMTEST_WORK}/summary" or die "summary: $!";
    printf {$fh} "%d %d %d %d\n", @total{qw(passed failed files skipped)};
    close $fh or die "summary: $!";
    return;
}

sub _run {
    my ($self, @tests) = @_;
    my $harness = TAP::Harness->new({
        lib => ["$ENV{MPMTEST_WORK}/lib"], verbosity => $self->{opts}{verbose} ? 1 : 0, timer => 1, color => 0,
    });
    return $harness->runtests(@tests);
}

1;
