# PR 65626: after a peak at the limit the server never shrank to MaxSpareThreads while MaxConnectionsPerChild was 0.

use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(wait_until);

# ServerLimit leaves no slack: active children can be as many as there are slots.
my $s = MPMTest::Server->new(
    backend => 1,
    mpm     => { ServerLimit => 4, ThreadsPerChild => 2, MaxRequestWorkers => 8, StartServers => 2, MinSpareThreads => 2,
        MaxSpareThreads => 5, MaxConnectionsPerChild => 0 },
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

for my $round (1, 2) {
    my @holds = $s->holds(8, headers => { Connection => 'close' });
    is scalar(@holds), 8, "$round: as many requests at once as MaxRequestWorkers" or last;
    is scalar($s->children), 4, "$round: four children, ServerLimit";
    is scalar($s->release(@holds)), 8, "$round: all are answered";
    ok wait_until { $s->children <= 2 } 20, 0.1;
    is scalar($s->children), 2, "$round: shrinks to MaxSpareThreads: two children";
    ok wait_until { ($s->status->{IdleWorkers} // 0) == 3 } 3;    # the fourth answers
    is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 10), 10, "$round: and serves";
    is scalar($s->children), 2, "$round: still with two";
}
$s->ends_well;
undef $s;

done_testing;
