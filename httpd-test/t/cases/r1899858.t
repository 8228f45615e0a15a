# r1899858: children that crashed were replaced at the next look only, or without end when each new one crashed.

use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(probe_server wait_until);

my $s = probe_server(
    mpm => { ServerLimit => 8, ThreadsPerChild => 2, MaxRequestWorkers => 12, StartServers => 4, MinSpareThreads => 7,
        MaxSpareThreads => 100 },
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
is scalar($s->children), 4, 'four children';

my $crash = qr/AH00052: child pid \d+ exit signal Segmentation fault \(11\)$|AH00051: .*, possible coredump in /m;
my $at_once = qr/Child (\d) stopped: .*\n(?:.*(?:AH02471|probe:).*\n)*.*Child \g{-1} started: /;

# The milliseconds of a log line's time within its minute.
sub second { return $_[0] =~ /^\[\S+ \S+ +\d+ \d+:\d+:([\d.]+) / ? int 1000 * $1 : die "no time: $_[0]\n" }

$s->clear_log_mark;
is $s->get('/probe/crash')->{status}, 0, 'a child crashes';
ok $s->log_like($crash, 5), 'AH00051 or AH00052';
ok $s->log_like($at_once, 0.7), 'replaced at once' or diag $s->log_new;
unlike $s->log_new, qr/AH10392/, 'no alarm';
ok wait_until { $s->children == 4 } 5;

# The parent has to be asleep again when they die, so that it finds them all at once.
ok wait_until { $s->parent_sleeps } 5;
$s->signal('STOP');
$s->clear_log_mark;
my @three = ($s->children)[ 0 .. 2 ];
kill SEGV => @three;
my %dead = map { $_ => 1 } @three;
ok wait_until { !grep { $dead{$_} } $s->children } 5;
$s->signal('CONT');
ok $s->log_like(qr/:warn\] .*AH10392: children are killed successively!$/m, 10), 'three at once: AH10392';
ok wait_until { $s->children == 4 } 5;
is scalar($s->children), 4, 'there are four again';
my @story = map { /$crash/ ? 'killed' : /AH10392/ ? 'alarm' : /Child \d started/ ? 'started' : () } split /\n/, $s->log_new;
is_deeply \@story, [qw(killed started killed started killed alarm started)], 'only the first two are replaced at once'
    or diag "@story";
my ($alarm) = grep {/AH10392/} split /\n/, $s->log_new;
my ($third) = reverse grep {/Child \d started/} split /\n/, $s->log_new;
my $gap = (second($third) - second($alarm)) % 60_000 / 1000;
ok $gap > 0.8 && $gap < 4, sprintf 'the third at the next tick, %.3f s later', $gap;
is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 20), 20, 'and all serve';
$s->ends_well(crashed => 1);
undef $s;

done_testing;
