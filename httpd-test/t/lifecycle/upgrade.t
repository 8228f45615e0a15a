# Another file of the module, put in place under a running server and loaded by a graceful restart, as an upgrade does: the
# former file's children are known to the new one, and end as in any reload.
use strict;
use warnings;
use File::Copy qw(copy);
use Test::More;
use MPMTest::Server qw(mpm_module wait_until);
use MPMTest::Test within => 40;

my $s = MPMTest::Server->new(mpm => { StartServers => 2, ServerLimit => 4, ThreadsPerChild => 4, MaxRequestWorkers => 8 });
my $file = $s->dir . '/mod_mpm_rust_event.so';
copy(mpm_module(), $file) or die "$file: $!";
$s->configure(module => $file);
ok $s->start, 'started' or BAIL_OUT($s->console_text);
my @old = $s->children;
my ($kept) = map { $s->open_conn } 1;
$kept->request('/');
is $kept->response(5)->{status}, 200, 'a connection to the former build';

copy(mpm_module(), $s->dir . '/newer.so') or die "newer.so: $!";
my $before = (stat $file)[1];
rename $s->dir . '/newer.so', $file or die "rename: $!";
isnt((stat $file)[1], $before, 'another file');

$s->signal('USR1');
my $maps = sub { my ($pid) = @_; ($s->slurp("/proc/$pid/maps") // '') =~ m{/mod_mpm_rust_event\.so( \(deleted\))?$}m ? $1 // 'new' : 'none' };
ok wait_until(sub { my %now = map { $_ => 1 } $s->children; !grep { $now{$_} } @old }, 10), 'the former build\'s children have ended';
ok $kept->eof_within(2), 'with their connections';
ok wait_until(sub { $s->children == 2 }, 5), 'there are as many new ones';
is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 20), 20, 'which serve';
is_deeply [ map { $maps->($_) } $s->children ], [ 'new', 'new' ], 'from the new file';
ok $s->graceful(old_gone => 1), 'the next restart is as any';
$s->ends_well;

done_testing;
