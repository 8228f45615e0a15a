package MPMTest::Messages;

# What an MPM says, compared word for word with what httpd's own event MPM says on the same occasion.
#
#   says_as_stock('a child that is refused its threads', sub {
#       my (%mpm) = @_;                                # for MPMTest::Server->new
#       my $s = server(%mpm);
#       ...
#       return messages($s, qr/AH03104/);
#   }, ['alert (11)Resource temporarily unavailable: AH03104: ap_thread_create: unable to create worker thread']);

use strict;
use warnings;

use Exporter 'import';
use File::Spec ();
use File::Temp ();
use MPMTest::Server qw(is_stock module_dir mpm_module mpm_symbol);
use Test::Builder;
use Test::More import => [qw(is_deeply note)];

our @EXPORT_OK = qw(fail_calls faults heal_calls messages says_as_stock stock_mpm);

# Those arguments of MPMTest::Server->new that make it httpd's own event MPM; none when it is not installed.
sub stock_mpm {
    my $module = module_dir() . '/mod_mpm_event.so';
    return -e $module ? (module => $module, symbol => 'mpm_event_module') : ();
}

# The MPM's own messages that match, oldest first, as "<level> <text>": without time, process and place, and with N
# for pids.
# Option: of => text (instead of the log since the mark).
sub messages {
    my ($s, $like, %o) = @_;
    my $name = $s->mpm_name;
    my @said;
    for (split /\n/, $o{of} // $s->log_new) {
        my ($level, $text) = /^\[[^]]+\] \[\Q$name\E:(\w+)\] \[pid \d+(?::tid \d+)?\] (.*)$/ or next;
        next unless $text =~ $like;
        $text =~ s/^((?:\(\d+\)[^:]+: )?)[\w\/.]+\.(?:c|rs)\(\d+\): /$1/;
        $text =~ s/\[client [^]]+\]/[client]/;
        $text =~ s/\bpid:? \K\d+/N/g;
        push @said, "$level $text";
    }
    return \@said;
}

# Runs the scenario with the MPM under test and with httpd's own: both must say what is expected.
# Options: stock => [...]: what httpd's own says instead, where it is known to differ.
sub says_as_stock {
    my ($name, $scenario, $expected, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $stock = $o{stock} // $expected;
    if (is_stock()) {
        return is_deeply $scenario->(module => mpm_module(), symbol => mpm_symbol()), $stock, $name;
    }
    my $same = is_deeply $scenario->(module => mpm_module(), symbol => mpm_symbol()), $expected, $name;
    my @mpm = stock_mpm() or return $same;
    return is_deeply($scenario->(@mpm), $stock, "$name: what mpm_event says") && $same;
}

# ---- system calls that fail (faults.c)

my $library;

# Arguments of MPMTest::Server->new for a server whose calls can be made to fail; none where nothing can be compiled.
sub faults {
    $library //= _compile();
    return unless $library;
    return (env => { LD_PRELOAD => $library, MPMTEST_FAULTS => _fault_dir() });
}

my $fault_dir;

sub _fault_dir {
    $fault_dir //= File::Temp->newdir('faults-XXXXXX', DIR => $ENV{MPMTEST_TMP} || File::Spec->tmpdir);
    return "$fault_dir";
}

sub _compile {
    my $source = __FILE__ =~ s/Messages\.pm$/faults.c/r;
    my $target = _fault_dir() . '/faults.so';
    chmod 0755, _fault_dir();
    chomp(my $cc = `$ENV{APXS} -q CC 2>/dev/null` || 'cc');
    return $target if system("$cc -shared -fPIC -O1 -o '$target' '$source' -ldl 2>/dev/null") == 0;
    note "faults.c does not compile with $cc";
    return '';
}

# From now on these calls fail, in all servers with faults(): name => so many calls succeed before, in each process;
# accept => "<so many> <error number> <port, or 0>".
sub fail_calls {
    my (%calls) = @_;
    for my $name (keys %calls) {
        open my $fh, '>', _fault_dir() . "/$name.new" or die "$name: $!";
        print {$fh} $calls{$name};
        close $fh or die "$name: $!";
        rename _fault_dir() . "/$name.new", _fault_dir() . "/$name" or die "$name: $!";
    }
    return;
}

sub heal_calls { unlink grep { !/\.so$/ } glob _fault_dir() . '/*'; return }

1;
