# SUSPENDED connections: resumed by this module's own function, or answered by timers as mod_dialup does.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(probe_server conns probe wait_until is_stock async data_file md5 beyond);

my @MODES = qw(suspend suspend-early suspend-write suspend-close);
my %port  = map { $_ => MPMTest::Server->free_port } @MODES;

sub server {
    my (%o) = @_;
    my $s = probe_server(
        mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4,
            AsyncRequestWorkerFactor => 50 },
        conf => join('', "KeepAliveTimeout 1\nTimeout 1\n",
            map {"Listen 127.0.0.1:$port{$_}\n<VirtualHost 127.0.0.1:$port{$_}>\nProbeOddState $_\n</VirtualHost>\n"} @MODES)
            . ($o{conf} // ''),
        modules => $o{modules} || [],
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return $s;
}

my $s = server();

SKIP: {
    skip 'httpd\'s own MPM cannot resume a suspended connection', 1 if is_stock();

    my ($c, @ms);
    for (1 .. 3) {    # the best of three, as the machine may stall
        ($c) = conns($s, 1, port => $port{suspend});
        $c->send("again\nlast\n");
        ok $c->eof_within(10), 'suspended twice, processed again each time, then closed';
        @ms = $c->buffered =~ /after (\d+) ms/g;
        last if !grep { $_ >= 800 } @ms;
    }
    my @lines = split /\n/, $c->buffered;
    like $lines[0] // '', qr/^again after (\d+) ms, call 2, suspends 1, resumes 1$/, 'the first answer, the hooks told';
    like $lines[1] // '', qr/^last after (\d+) ms, call 3, suspends 2, resumes 2$/, 'the second';
    is scalar(grep { $_ >= 300 && $_ < 800 } @ms), 2, "after 300 ms each: @ms";

    my @c = conns($s, 80, port => $port{suspend});
    $_->send("one of many\n") for @c;
    is $s->get('/index.html', within => 5)->{status}, 200, '80 of them hold none of 4 workers';    # else it takes 80 / 4 * 0.3 s
    is scalar(grep { $_->eof_within(5) && $_->buffered =~ /^one of many after/ } @c), 80, 'all are resumed';

    my @e = conns($s, 20, port => $port{'suspend-early'});
    $_->send("early\n") for @e;
    is scalar(grep { $_->eof_within(5) && $_->buffered =~ /^early after/ } @e), 20,
        'resumed before the hook that suspends has returned';

    my @w = conns($s, 10, port => $port{'suspend-write'});
    $_->send("hello\n") for @w;
    is scalar(grep { my $w = $_; wait_until(sub { $w->_fill(time); $w->{in} eq "written by a timer\n" }, 3) } @w), 10,
        'resumed as WRITE_COMPLETION: what a timer wrote is flushed';
    is scalar(grep { $_->eof_within(3) } @w), 10, 'and KeepAliveTimeout applies';

    my @l = conns($s, 10, port => $port{'suspend-close'});
    $_->send("hello\nand more\n") for @l;
    is scalar(grep { $_->eof_within(3) && !$_->error && $_->buffered eq "closed by a timer\n" } @l), 10,
        'resumed as LINGER: written, and closed without a reset';

    my @n = conns($s, 40, port => $port{'suspend-close'});
    $_->send("6000\n") for @n;
    my $suspended = sub { probe($s, 'counters')->{suspended_now} };
    ok wait_until(sub { $suspended->() == 40 }, 5), 'process_score.suspended: 40 are suspended' or diag $suspended->();
    is scalar(grep { $_->eof_within(12) } @n), 40, 'for 6 s';
    ok wait_until(sub { $suspended->() == 0 }, 5), 'and then none is' or diag $suspended->();

    $_->close for $c, @c, @e, @w, @l, @n;
    ok wait_until(sub { my $n = probe($s, 'counters'); $n->{closed} == $n->{pre_connection} - 1 }, 5),
        'no connection is left over' or diag explain probe($s, 'counters');
    ok wait_until(sub { async($s)->{total} <= 1 }, 5), 'nor in mod_status' or diag explain async($s);
}
$s->stop;

SKIP: {
    skip 'no mod_dialup', 1 if !$s->has_module('dialup');
    $s = server(modules => ['dialup'], conf => qq{<Location "/slow">\nModemStandard V.34\n</Location>\n});
    mkdir $s->htdocs . '/slow';
    chmod 0755, $s->htdocs . '/slow';
    my $want = data_file($s, 'slow/file.bin', 10_000);
    my @c = conns($s, 12);
    my $begin = time;
    $_->request('/slow/file.bin') for @c;
    my $first = wait_until { $c[0]->_fill(time); length $c[0]{in} } 5;
    is $s->get('/index.html', within => 5)->{status}, 200, 'mod_dialup: 12 suspended requests hold none of 4 workers';
    my @bodies = map { $_->response(time < $begin + 10 ? $begin + 10 - time : 0.01)->{body} } @c;
    is scalar(grep { md5($_) eq $want } @bodies), 12, beyond('timers write all of the responses');
    cmp_ok time - $begin, '>', 1.5, sprintf 'at a modem\'s pace: %.1f s', time - $begin;
    $s->stop;
}
undef $s;

done_testing;
