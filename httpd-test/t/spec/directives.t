# The run-time directives are those of mpm_worker and AsyncRequestWorkerFactor; there is no mutex around accept.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 30;
use MPMTest::Server qw(module_dir);

my $file = module_dir() . '/mod_mpm_worker.so';
plan skip_all => 'no mod_mpm_worker to compare with' if !-e $file;

my $ours   = MPMTest::Server->new;
my $worker = MPMTest::Server->new(loadline => qq{LoadModule mpm_worker_module "$file"});

# The names that -L lists with this source file.
sub directives {
    my ($s, $source) = @_;
    my $run = $s->console('-L');
    is $run->{exit}, 0, "-L with $source";
    return sort $run->{out} =~ /^(\S+) \(\Q$source\E\)$/mg;
}

my %more = map { $_ => 1 } directives($ours, 'event.c');
delete @more{ my @common = directives($worker, 'worker.c') };
cmp_ok scalar @common, '>=', 14, 'mpm_worker has its directives';
is_deeply [keys %more], ['AsyncRequestWorkerFactor'], 'and AsyncRequestWorkerFactor is the only one more';
is_deeply [grep { my $name = $_; !grep { $_ eq $name } directives($ours, 'event.c') } @common], [], 'none is missing';

sub mutexes {
    my ($s) = @_;
    return { map { $_ => 1 } $s->console('-t', '-DDUMP_RUN_CFG')->{out} =~ /^Mutex ([\w-]+):/mg };
}

ok mutexes($worker)->{'mpm-accept'}, 'mpm_worker has a mutex for accept';
ok !mutexes($ours)->{'mpm-accept'}, 'this one has none';

done_testing;
