# A Listen port that another program has: AH00072 and no server, at the start and at a reload, whatever else is listened on.
use strict;
use warnings;
use IO::Socket::INET;
use Test::More;
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 40, qw(conns);

my $other = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0) or die "listen: $!";
my $taken = '127.0.0.1:' . $other->sockport;
my $text  = qr/^\(98\)Address already in use: AH00072: make_sock: could not bind to address \Q$taken\E$/m;
my $none  = qr/no listening sockets available, shutting down$/m;

my $own = '127.0.0.1:' . MPMTest::Server->free_port;
sub server {
    my (@listen) = @_;
    return MPMTest::Server->new(port => $own =~ s/.*://r, backend => 1, listen => [@listen],
        mpm => { StartServers => 2, ThreadsPerChild => 4, MaxRequestWorkers => 8 });
}

for my $case (['the only one', $taken], ['beside a free one', $own, $taken], ['before a free one', $taken, $own]) {
    my ($name, @listen) = @$case;
    my $s = server(@listen);
    $s->start(answer => 0);
    is $s->wait_exit(10), 1, "$name: the server exits with 1";
    like $s->console_text, $text, 'AH00072 on the console';
    like $s->console_text, qr/$none\nAH00015: Unable to open logs$/m, 'and what follows from it';
    is $s->error_log, '', 'nothing in the log';
    is_deeply [ $s->members ], [], 'no process is left';
    my $check = $s->console('-t');
    is $check->{exit}, 0, 'httpd -t binds nothing' or diag $check->{out};
}

subtest 'two Listen lines for one address' => sub {
    my $s = server($own, $own);
    my $check = $s->console('-t');
    is $check->{exit}, 1, 'are refused';
    like $check->{out}, qr/Cannot define multiple Listeners on the same IP:port$/m, 'in words';
};

for my $signal (qw(USR1 HUP)) {
    subtest "a reload by SIG$signal adds it" => sub {
        my $s = server($own);
        ok($s->start, 'started') or return;
        my $hold = $signal eq 'USR1' && $s->hold;
        ok $hold, 'a request is being served' if $signal eq 'USR1';
        $s->configure(listen => [ $own, $taken ]);
        $s->clear_log_mark;
        $s->signal($signal);
        is $s->wait_exit(10), 1, 'the server exits with 1';
        like $s->console_text . $s->log_new, $text, 'AH00072';
        like $s->log_new, qr/:alert\] .*$none\n\[.*:emerg\] .*AH00019: Unable to open logs, exiting$/m, 'and what follows from it, in the log';
        is scalar($s->release($hold)), 1, 'the request is answered' if $hold;
        ok wait_until { !$s->members } 5;
        is_deeply [ $s->members ], [], 'no process is left';
        ok !$s->open_conn(within => 1), 'the port is free again';
        unlike $s->error_log, qr/exit signal/, 'nobody crashed';
    };
}

is scalar(conns(MPMTest::Server->new(port => $other->sockport), 1)), 1, 'the other program still has its port';

done_testing;
