# SIGHUP: everything ends at once, and a new generation serves.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Server qw(wait_until);

my %mpm = (ServerLimit => 6, ThreadLimit => 8, ThreadsPerChild => 4, MaxRequestWorkers => 16, StartServers => 2,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server {
    my (%o) = @_;
    return MPMTest::Server->new(backend => 1, %o, conf => "KeepAliveTimeout 60\n" . ($o{conf} // ''),
        mpm => { %mpm, %{ $o{mpm} || {} } });
}

subtest 'everything ends, and a new generation serves' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    my @idle = map { $s->open_conn } 1 .. 4;
    $_->request('/') for @idle;
    is scalar(grep { $_->response->{status} == 200 } @idle), 4, 'four connections are kept alive';
    my %old = map { $_ => 1 } $s->children;
    my $begin = time;
    ok $s->hard_restart, 'serving again';
    my $took = time - $begin;
    cmp_ok $took, '<', 6, sprintf 'within 6 s (%.2f)', $took;
    is_deeply [ grep { $old{$_} } $s->children ], [], 'no child of the old generation is left by then';
    ok $_->eof_within(1), 'a kept connection is closed' for @idle;
    my $log = $s->log_new;
    my $name = $s->mpm_name;
    like $log, qr/^\[.*\Q[$name:notice]\E .*AH00494: SIGHUP received\.  Attempting to restart$/m, 'AH00494';
    like $log, qr/AH00494.*AH00489/s, 'and then AH00489';
    unlike $log, qr/AH00493/, 'not taken for a graceful one';
    is $s->status->{ParentServerMPMGeneration}, 1, 'the next generation';
    is $s->slurp('httpd.pid'), $s->pid . "\n", 'pid file';
    $s->ends_well;
};

subtest 'busy workers do not hold it up' => sub {
    my $s = server();
    ok($s->start, 'started') or return;
    my @holds = $s->holds(2);
    my $begin = time;
    ok $s->hard_restart, 'serving again';
    my $took = time - $begin;
    cmp_ok $took, '<', 5, sprintf 'within 5 s (%.2f), although handlers wait for a backend', $took;
    ok $_->{conn}->eof_within(1), 'a request under way is broken off' for @holds;
    $s->ends_well;
};

subtest 'under load' => sub {
    my $s = server(conf => "MaxKeepAliveRequests 0\n");
    ok($s->start, 'started') or return;
    my $load = MPMTest::Load->new($s, [ map { { keepalive => $_ % 2, think => 0.002 } } 1 .. 6 ]);
    for my $n (1 .. 5) {
        my $from = -s $s->dir . '/logs/access_log';
        ok $s->hard_restart, "restart $n" or last;
        ok wait_until { -s $s->dir . '/logs/access_log' > $from + 3000 } 10;
    }
    my $count = $load->finish;
    cmp_ok $count->{ok}, '>', 300, 'requests were answered in between';
    is $count->{$_}, 0, "$_: none" for qw(bad late died);
    $s->ends_well;
};

done_testing;
