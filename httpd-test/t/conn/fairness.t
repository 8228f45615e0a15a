# Newcomers beside kept clients that stay active: nobody is shut out, and no request is lost for that.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Load;
use MPMTest::Test within => 100, qw(beyond conns probe_server);

# What newcomers get while such clients are active: how many of them are served, and how long the slowest takes.
sub newcomers {
    my ($s, $seconds, $port) = @_;
    my ($end, $come, $served, $slowest) = (time + $seconds, 0, 0, 0);
    while (time < $end) {
        my $begin = time;
        $come++;
        $served++ if $s->get('/probe/sleep?ms=1', within => 6, $port ? (port => $port) : ())->{status} == 200;
        my $took = time - $begin;
        $slowest = $took if $took > $slowest;
        sleep 0.4 - $took if $took < 0.4;
    }
    return ($come, $served, $slowest);
}

# name, threads, kept clients, ms of their requests, their pauses in s, the same server with more children
my @cases = (
    ['most workers busy',              8, 24, 80, 0.2, 1],
    ['idle workers, no more places',   4, 30, 10, 1,   1],
    ['one thread',                     1, 6,  20, 0.2, 1],
    ['two children, most workers busy', 6, 28, 60, 0.1, 2],
    ['more requests than workers',     2, 12, 50, 0.05, 1],
);

for my $case (@cases) {
    my ($name, $threads, $clients, $ms, $pause, $children) = @$case;
    # As it comes: the log's level, and factor 2.
    my $s = probe_server(
        loglevel => 'warn',
        mpm => { StartServers => $children, ServerLimit => $children, ThreadsPerChild => $threads,
            MaxRequestWorkers => $children * $threads, MinSpareThreads => 1, MaxSpareThreads => $children * $threads },
        conf => "KeepAliveTimeout 30\nTimeout 30\nMaxKeepAliveRequests 0\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    my %client = (keepalive => 1, path => "/probe/sleep?ms=$ms", think => $pause);
    my $load = MPMTest::Load->new($s, [map { {%client} } 1 .. $clients]);
    sleep 1;
    my ($come, $served, $slowest) = newcomers($s, 5);
    my $count = $load->finish;
    is $served, $come, beyond("$name: all newcomers are served");
    cmp_ok $slowest, '<', 2, beyond(sprintf "$name: the slowest after %.2f s", $slowest);
    is $count->{partial} + $count->{bad} + $count->{died}, 0, "$name: all answers are good ones";
    # The end of a connection that idles may cross a request of a client that is held up between its look and its send.
    cmp_ok $count->{lost}, '<=', 1, beyond("$name: no request of a kept client is lost");
    is $count->{late}, 0, "$name: nor late";
    cmp_ok $count->{slowest}, '<', 2 + $clients * $ms / 1000 / $threads, beyond(sprintf "$name: the slowest of theirs after %.2f s", $count->{slowest});
    cmp_ok $count->{ok}, '>', $clients, "$name: $count->{ok} answers";
    $s->ends_well;
}

# One port is crowded all the time: newcomers at another one have their turn.
{
    my ($crowded, $other) = map { MPMTest::Server->free_port } 1 .. 2;
    for my $listen ([ $crowded, $other ], [ $other, $crowded ]) {
        my $s = probe_server(
            port => $crowded, listen => [ map {"127.0.0.1:$_"} @$listen ],
            mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 1, MaxRequestWorkers => 1, AsyncRequestWorkerFactor => 1 },
        );
        $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
        my $load = MPMTest::Load->new($s, [ ({ keepalive => 0, path => '/probe/sleep?ms=20' }) x 12 ]);
        sleep 0.5;
        my ($come, $served, $slowest) = newcomers($s, 3, $other);
        my $count = $load->finish;
        is $served, $come, beyond('a crowded port: all newcomers at another one are served');
        cmp_ok $slowest, '<', 1, beyond(sprintf 'the slowest after %.2f s', $slowest);
        is $count->{bad} + $count->{lost} + $count->{partial} + $count->{late}, 0, 'and all at the crowded one';
        $s->stop;
    }
}

# Answers make room; a client that nobody waits behind keeps its connection.
{
    my $s = probe_server(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4, AsyncRequestWorkerFactor => 1 },
        conf => "KeepAliveTimeout 30\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    my @kept = conns($s, 8);
    for my $c (@kept) { $c->request('/index.html'); $c->response(5); $s->at_rest }
    my ($next) = conns($s, 1);
    $next->request('/index.html');
    ok $s->log_like(qr/Too many open connections/, 5), 'a full child';
    # Its answers, the errors too, announce the close.
    my ($announced, $asked) = (0, 0);
    for (1 .. 15) {
        last if $next->eof_within(0.02) || length $next->buffered;
        $asked++;
        $kept[0]->request('/no/such/file');
        my $r = $kept[0]->response(5);
        is $r->{status}, 404, 'an answer';
        $announced = ($r->{headers}{connection} // '') =~ /close/i and last;
    }
    ok $announced, beyond("an answer announces the close, after $asked");
    is $next->response(5)->{status}, 200, beyond('and the newcomer is served');
    my @others = @kept[1 .. 7];
    my $kept = 0;
    for my $c (@others) {
        $c->request('/index.html');
        my $r = $c->response(5);
        $kept++ if $r->{status} == 200 && ($r->{headers}{connection} // '') !~ /close/i;
    }
    is $kept, 7, 'the others are kept';
    $s->ends_well;
}

# An answer that was begun before the child was full makes room, too; requests that have been sent ahead are all answered.
{
    my $s = probe_server(
        mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 2, MaxRequestWorkers => 2, AsyncRequestWorkerFactor => 1 },
        conf => "KeepAliveTimeout 30\n",
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    my ($ahead, $busy) = conns($s, 2);
    $ahead->send(join '', map { "GET /probe/sleep?ms=$_ HTTP/1.1\r\nHost: a\r\n\r\n" } 400, 1);
    $busy->request('/probe/sleep?ms=700');
    sleep 0.1;    # both are in their handlers
    my @next = conns($s, 2);
    $_->request('/probe/sleep?ms=600') for @next;
    ok $s->log_like(qr/All workers busy/, 5), 'a full child';
    my $first = $ahead->response(5);
    unlike $first->{headers}{connection} // '', qr/close/i, 'another request has arrived: the answer before it keeps the connection';
    my $second = $ahead->response(5);
    is $second->{status}, 200, 'that one is answered';
    like $second->{headers}{connection} // '', qr/close/i, beyond('and makes room, for nothing was behind it');
    my $long = $busy->response(5);
    is $long->{status}, 200, 'one that was begun before';
    like $long->{headers}{connection} // '', qr/close/i, beyond('makes room as well');
    is $_->response(5)->{status}, 200, beyond('a newcomer is served') for @next;
    $s->ends_well;
}

done_testing;
