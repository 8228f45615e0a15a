# A child that finishes: it waits without turning, its lingering closes are short, and it ends by itself in every mode.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time sleep);
use MPMTest::Server qw(wait_until);

my %mpm = (ServerLimit => 4, StartServers => 1, ThreadsPerChild => 2, MaxRequestWorkers => 4, MinSpareThreads => 1,
    MaxSpareThreads => 100);

sub server {
    my (%o) = @_;
    my $s = MPMTest::Server->new(%o, mpm => { %mpm, %{ $o{mpm} || {} } },
        conf => "KeepAliveTimeout 60\nTimeout 25\nEnableSendfile On\n" . ($o{conf} // ''));
    ok $s->start, 'started' or BAIL_OUT($s->console_text);
    return $s;
}

subtest 'a child that was out of workers does not turn while it finishes' => sub {
    my $s = server(mpm => { ServerLimit => 2, MaxRequestWorkers => 2 });
    my ($old) = $s->children;
    my @half = map { $s->open_conn } 1 .. 5;
    $_->send("GET / HTTP/1.1\r\nHost: loc") for @half;
    ok $s->log_like(qr/All workers busy/, 5), 'all workers busy, others wait';
    sleep 1.2;    # long enough for it to consider closing idle connections
    $s->signal('USR1');
    ok $s->log_like(qr/Child 0 quiescing/, 10), 'it finishes';
    my $before = $s->ticks($old);
    sleep 1.5;
    ok -e "/proc/$old", 'and has still to';
    cmp_ok $s->ticks($old) - $before, '<', 15, 'using next to no time';
    $_->close for @half;
    $s->stop;
};

subtest 'lingering is short, though another connection may wait for long' => sub {
    my $s = server();
    my ($old) = $s->children;
    $s->write_file('htdocs/big', 'x' x 30_000_000);
    my $parked = $s->open_conn;
    $parked->request('/big');
    ok wait_until(sub { ($s->status->{ConnsAsyncWriting} // 0) == 1 }, 5), 'a client that does not read';
    my $slow = $s->open_conn;
    $slow->send("GET / HTTP/1.1\r\nHost: loc");
    # It and the one that asks; that may be another child's.
    my $busy = sub { my $n = 0; $n += $_->{busy} for $s->processes; $n };
    ok wait_until(sub { $busy->() >= 2 }, 5), 'and one that has sent half a request';
    $s->signal('USR1');
    ok $s->log_like(qr/Child 0 quiescing/, 10), 'the child finishes';
    sleep 2.5;    # the drain window and its lingering closes are over
    $slow->send("alhost\r\n\r\n");
    is $slow->response(5)->{status}, 200, 'a request that was half there is answered';
    ok $slow->eof_within(5), 'its connection is closed; the client keeps its end open';
    my $row = sub { my ($r) = grep { $_->{pid} == $old } $s->processes; $r || {} };
    my $since = time;
    ok wait_until(sub { ($row->()->{closing} // 0) == 0 && ($row->()->{connections} // 0) <= 1 }, 10), 'the server lets go';
    cmp_ok time - $since, '<', 5, 'after 2 s, not when the other one times out';
    $_->close for $parked, $slow;
    $s->stop;
};

subtest 'children that find no slot at a reload start when there is one' => sub {
    my $s = server(mpm => { ServerLimit => 4, StartServers => 3, MaxRequestWorkers => 8 });
    my %old = map { $_ => 1 } $s->children;
    is scalar(keys %old), 3, 'three children, one free slot';
    $s->signal('USR1');
    ok wait_until(sub { my @now = $s->children; @now == 3 && !grep { $old{$_} } @now }, 10), 'three new ones'
        or diag join ' ', $s->children;
    $s->stop;
};

subtest '-X ends after MaxConnectionsPerChild' => sub {
    my $s = server(args => ['-X'], mpm => { MaxConnectionsPerChild => 3 });
    my $answered = 0;
    for (1 .. 10) { $answered++ if ($s->get('/', within => 2)->{status} // 0) == 200; last if !$s->running }
    is $s->wait_exit(10), 0, 'by itself';
    cmp_ok $answered, '<=', 3, "after $answered more requests";
};

subtest 'a killed control process, and a helper that outlives it' => sub {
    my $s = server(modules => ['cgid']);
    my @old = $s->children;
    my $parent = $s->pid;
    my @helpers = grep { my $p = $_; !grep { $_ == $p } @old } $s->children(all => 1);
    ok scalar @helpers, 'the CGI daemon is another process';
    kill 'KILL', $parent;
    ok wait_until(sub { !grep { -e "/proc/$_" } @old }, 10), 'the children finish all the same' or kill 'KILL', @old;
    kill 'KILL', @helpers;
    $s->wait_exit(5);
};

done_testing;
