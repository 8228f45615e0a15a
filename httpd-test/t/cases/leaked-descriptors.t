# A module loses descriptors: when a child has none left, and its connections aren't what has them, another one takes its place.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Server qw(httpd_binary);
use MPMTest::Test within => 100, qw(beyond conns is_stock probe_server shared);

plan skip_all => 'no mod_lua' unless shared()->has_module('lua');

# Each request to /leak loses five descriptors, or as many as there are.
my $s = probe_server(
    modules  => ['lua'],
    loglevel => 'warn',
    mpm      => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8 },
);
$s->write_file('leak.lua', <<'LUA');
leak = {}
function handle(r)
    for i = 1, 5 do leak[#leak + 1] = io.open("/dev/null") end
    r:puts("done")
    return apache2.OK
end
LUA
$s->configure(conf => $s->{conf} . sprintf <<'EOT', $s->dir);
LuaScope thread
LuaMapHandler "^/leak$" "%s/leak.lua" handle
<Directory "/">
    AllowOverride None
</Directory>
EOT
$s->{binary} = $s->write_file('httpd.sh', qq{#!/bin/sh\nulimit -n 120\nexec "} . httpd_binary() . qq{" "\$@"\n}, 0755);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# Asks one after the other until another child has begun: how many got none or another answer, and how long the slowest waited.
sub until_replaced {
    my ($child) = $s->children;
    my ($end, $unanswered, $longest) = (time + 20, 0, 0);
    do {
        my $begin = time;
        my $got = $s->get('/leak', within => 8);
        $longest = time - $begin if time - $begin > $longest;
        $unanswered++ unless $got->{status} == 200 && $got->{body} eq 'done';
    } until time > $end || grep { $_ != $child } $s->children;
    note sprintf '%d without the answer, the longest wait was %.2f s', $unanswered, $longest;
    return (scalar(grep { $_ != $child } $s->children), $unanswered);
}

subtest 'one client after the other' => sub {
    for (1 .. 2) {
        my ($replaced, $unanswered) = until_replaced();
        ok $replaced, 'another child takes its place';
        cmp_ok $unanswered, '<=', 2, beyond("each request gets its answer, but for the one that had the last descriptor: $unanswered");
    }
    ok $s->running, 'the server lives';
};

subtest 'what is there is served to its end' => sub {
    $s->configure(mpm => { ServerLimit => 2 });
    $s->stop;
    $s->start or die;
    my ($slow) = conns($s, 1);
    $slow->request('/probe/sleep?ms=8000');
    my ($replaced, $unanswered) = until_replaced();
    ok $replaced, 'another child takes its place';
    cmp_ok $unanswered, '<=', 2, beyond("each request gets its answer, but for the one that had the last descriptor: $unanswered");
    is $slow->response(10)->{status}, 200, 'and so does the one that was under way';
    like $s->error_log, qr/Too many open files: .*AH02179/, 'the log has the cause';
    like $s->error_log, qr/:warn\] .*rust_event: child \d+ .* finishes/, 'and the remedy' unless is_stock();
};

$s->ends_well;
done_testing;
