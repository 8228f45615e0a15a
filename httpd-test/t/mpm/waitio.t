# CONN_STATE_ASYNC_WAITIO: a protocol that waits for its socket without a worker, for as long as Timeout says.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(beyond probe_server conns close_times probe wait_until async);

# A connection that never read an HTTP request has the main server's timeouts.
my $port = MPMTest::Server->free_port;
my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4,
        AsyncRequestWorkerFactor => 50 },
    conf => <<"EOT",
Listen 127.0.0.1:$port
KeepAliveTimeout 1
Timeout 5
<VirtualHost 127.0.0.1:$port>
    ProbeOddState waitio
</VirtualHost>
EOT
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
if ($s->get('/probe/query?code=19')->{body} !~ /^0 1$/m) {
    plan skip_all => 'no CAN_WAITIO in this httpd';
}

# Says a line and returns the answer's.
sub say_line {
    my ($c, $line) = @_;
    $c->send("$line\n");
    return wait_until(sub { $c->_fill(time); $c->{in} =~ s/^(.*)\n// ? $1 : 0 }, 3) || 'no answer';
}

{
    my ($c) = conns($s, 1, port => $port);
    is say_line($c, 'one'), 'echo one', 'a line is answered';
    is say_line($c, 'two'), 'echo two', 'and another';
    is say_line($c, 'count'), 'calls 3', 'the hook was called once for each: the connection was parked between';
    $c->send("a\nb\nc\n");
    my $three = "echo a\necho b\necho c\n";
    ok wait_until(sub { $c->_fill(time); $c->{in} eq $three }, 3), 'three lines in one write are all answered';
    $c->{in} = '';
    $c->send('half ');
    Time::HiRes::sleep(0.1);
    is say_line($c, 'a line'), 'echo half a line', 'a line in two pieces';
    is say_line($c, 'write'), 'writable', 'waiting for the socket to be writable';
    is say_line($c, 'read'), 'echo read', 'and then again for input';
    is say_line($c, 'quit'), 'bye', 'the last word';
    ok $c->eof_within(4), 'and the end';
    ok !$c->error, 'without a reset';
}

{
    my @c = conns($s, 100, port => $port);
    is scalar(grep { say_line($_, 'hi') eq 'echo hi' } @c), 100, '100 of them on 4 workers';
    my $begin = time;
    is $s->get('/index.html')->{status}, 200, 'others are served';
    cmp_ok time - $begin, '<', 4, 'promptly';    # before Timeout would have freed a worker
    ok wait_until(sub { async($s)->{waitio} == 100 }, 3), beyond('mod_status counts 100 waiting for I/O')
        or diag explain async($s);
    is scalar(grep { say_line($_, 'still') eq 'echo still' } @c), 100, 'all of them are still there';
    $_->close for @c[0 .. 49];
    $_->send("quit\n") for @c[50 .. 99];
    is scalar(grep { $_->eof_within(3) } @c[50 .. 99]), 50, 'and leave when told';
}

{
    my @c = conns($s, 10, port => $port);
    my @asked;    # before the line is sent: no clock starts earlier
    for my $i (0 .. $#c) { $asked[$i] = time; say_line($c[$i], 'tick') }
    for (1 .. 5) { Time::HiRes::sleep(0.3); $asked[0] = time; say_line($c[0], 'tock') }
    my $closed = close_times(12, @c);
    is scalar keys %$closed, 10, 'Timeout 5, not KeepAliveTimeout 1, ends the silent ones';
    my @after = map { ($closed->{$_} // 0) - $asked[$_] } 0 .. 9;
    is scalar(grep { $_ < 4.9 } @after[1 .. 9]), 0, "not early: @after";
    is scalar(grep { $_ > 9 } @after), 0, 'not late';
    cmp_ok $after[0], '>', 4.9, 'the clock starts again with each line';
}

ok wait_until(sub { my $n = probe($s, 'counters'); $n->{closed} == $n->{pre_connection} - 1 }, 5),
    'no connection is left over' or diag explain probe($s, 'counters');
$s->stop;
undef $s;

done_testing;
