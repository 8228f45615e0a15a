# c->id: no two connections that are being processed have the same; UNIQUE_ID is unique over many requests.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(shared probe_server conns fields);

{
    my $s = probe_server(mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8 });
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    my ($same, $incomplete);
    for my $round (1 .. 5) {
        my @c = conns($s, 8);
        $_->request('/probe/conn?ms=250') for @c;
        my %now;
        for my $c (@c) {
            my $f = fields($c->response(10)->{body});
            $same++ if $now{"$f->{pid} $f->{id}"}++;
            $incomplete++ if !($f->{cs} && $f->{sbh} && $f->{current_thread});
            $incomplete++ if $f->{child_slot} < 0 || $f->{slot_pid} != $f->{pid} || $f->{slot_tid} != $f->{tid};
        }
        $_->close for @c;
    }
    is $same // 0, 0, '8 connections at a time, 5 rounds: each its own c->id';
    is $incomplete // 0, 0, 'each with c->cs, c->sbh, c->current_thread, and the worker\'s own slot';
    $s->stop;
}

my $s = shared();
{
    my @c = conns($s, 4);
    my (%ids, $n);
    for (1 .. 500) {
        $_->request('/index.html') for @c;
        for my $c (@c) {
            my $id = $c->response(5)->{headers}{'x-unique-id'} // '';
            $n++ if $id && !$ids{$id}++;
        }
    }
    is $n, 2000, '2,000 requests on 4 connections: 2,000 UNIQUE_IDs';
}

done_testing;
