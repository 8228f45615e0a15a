# MaxMemFree: what a worker keeps of the memory that a large request took.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(conns probe_server);

# A child's memory in KiB after each of its workers has read a request with 4 MB of header fields.
sub after_large_requests {
    my ($limit) = @_;
    my $s = probe_server(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4,
            MaxMemFree => $limit },
        conf => "LimitRequestFieldSize 60000\nLimitRequestFields 200\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    my %large = map { ("X-$_" => 'x' x 50_000) } 1 .. 80;
    my $good = 0;
    for (1 .. 2) {
        my @c = conns($s, 4);
        $_->request('/probe/sleep?ms=1500', headers => { %large, Connection => 'close' }) for @c;
        $good += grep { $_->response(10)->{status} == 200 } @c;
    }
    is $good, 8, "MaxMemFree $limit: large requests are answered";
    my $rss = $s->rss($s->children);
    $s->stop;
    return $rss;
}

my ($all, $little) = map { after_large_requests($_) } 0, 100;
cmp_ok $little, '<', $all - 8000, "it gives memory back: $little KiB, $all KiB without a limit";

done_testing;
