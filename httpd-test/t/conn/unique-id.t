# c->id: no two connections that are being processed have the same; UNIQUE_ID is unique over many requests.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(shared conns fields);

my $s = shared();

{
    my (%seen, $same, $incomplete);
    for my $round (1 .. 5) {
        my @c = conns($s, 8);
        $_->request('/probe/conn?ms=150') for @c;
        my %now;
        for my $c (@c) {
            my $f = fields($c->response(10)->{body});
            $same++ if $now{"$f->{pid} $f->{id}"}++;
            $incomplete++ if !($f->{cs} && $f->{sbh} && $f->{current_thread});
            $incomplete++ if $f->{child_slot} < 0 || $f->{slot_pid} != $f->{pid} || $f->{slot_tid} != $f->{tid};
            $seen{ $f->{pid} } = 1;
        }
        $_->close for @c;
    }
    is $same // 0, 0, '8 connections at a time, 5 rounds: each its own c->id';
    is $incomplete // 0, 0, 'each with c->cs, c->sbh, c->current_thread, and the worker\'s own slot';
    is scalar keys %seen, 2, 'in both children';
}

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
