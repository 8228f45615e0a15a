# mod_cgid: scripts at once, slow, with much output and with errors; its helper process comes back when killed, and goes.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(conns shared wait_until md5);
use MPMTest::Restarts qw(over_restarts round);

plan skip_all => 'no mod_cgid' unless shared()->has_module('cgid');

my $s = MPMTest::Server->new(
    modules => [qw(cgid env)],
    mpm => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 8, MaxRequestWorkers => 16, MinSpareThreads => 16,
        MaxSpareThreads => 48 },
);
my $dir = $s->dir;
mkdir "$dir/cgi";
chmod 0755, "$dir/cgi";
$s->configure(conf => <<"EOT");
ScriptSock "$dir/run/cgisock"
ScriptAlias "/cgi/" "$dir/cgi/"
PassEnv MPMTEST_ID
EOT
my %script = (
    env   => 'printf "%s\n" "$QUERY_STRING"',
    body  => 'cat',
    big   => 'head -c 3000000 /dev/zero | tr "\0" x',
    slow  => qq{until [ -e "$dir/htdocs/go" ]; do sleep 0.05; done\necho done},
    error => 'echo "said by a script: $QUERY_STRING" >&2; echo ok',
);
$s->write_file("cgi/$_", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n$script{$_}\n", 0755) for keys %script;
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# mod_cgid's process: a child of the server with one thread, and no script.
sub helpers {
    my %worker = map { $_ => 1 } $s->children;
    return grep { !$worker{$_} } $s->children(all => 1);
}

my %helper;    # every one so far

sub check {
    my ($when) = @_;
    ok wait_until(sub { my @h = helpers(); @h == 1 && !$helper{ $h[0] }++ }, 5), "a new helper process, $when" or diag join ' ', helpers();
    unlink "$dir/htdocs/go";
    my @slow = conns($s, 6);
    $_->request('/cgi/slow') for @slow;
    my @bodies = map { round('/cgi/env?' . $_, conns($s, 8)) } 1 .. 3;
    is join('', @bodies), join('', map {"$_\n" x 8} 1 .. 3), "24 scripts, 8 at once, while slow ones hold 6 workers, $when";
    my @c = conns($s, 3);
    $c[0]->request('/cgi/big');
    is length $c[0]->response(20)->{body}, 3_000_000, "3 MB of output, $when";
    $c[1]->request('/cgi/body', method => 'POST', body => 'y' x 300_000);
    is md5($c[1]->response(20)->{body}), md5('y' x 300_000), "a body read by a script, $when";
    (my $mark = $when) =~ tr/a-z0-9/_/c;
    is_deeply [ round("/cgi/error?$mark", $c[2]) ], ["ok\n"], "a script that complains, $when";
    ok $s->log_like(qr/said by a script: $mark$/m, 5), "to the error log, $when";
    $s->write_file('htdocs/go', '');
    is scalar(grep { $_->response(10)->{body} eq "done\n" } @slow), 6, "the slow ones are answered, $when";
    $_->close for @c, @slow;
    return;
}

# The load asks for no script: those that come while mod_cgid's process is replaced get a 503, whatever the MPM.
over_restarts($s, check => \&check, old_gone => 1,
    clients => [ map { { keepalive => 1, think => 0.01 }, { keepalive => 0, think => 0.02 } } 1 .. 2 ]);

{
    my ($slow) = conns($s, 1);
    unlink "$dir/htdocs/go";
    $slow->request('/cgi/slow');
    ok wait_until(sub { ($s->status->{BusyWorkers} // 0) == 2 }, 5), 'a script runs';
    ok $s->graceful, 'graceful restart';
    $s->write_file('htdocs/go', '');
    is $slow->response(10)->{body}, "done\n", 'a script under way is finished';
    $slow->close;
}

{
    my $helper;    # the former generation's may still be there
    wait_until(sub { my @h = helpers(); $helper = $h[0]; @h == 1 }, 5);
    kill KILL => $helper;
    ok wait_until(sub { my @h = helpers(); @h == 1 && $h[0] != $helper }, 5), 'a killed helper is replaced';
    ok $s->log_like(qr/daemon process died, restarting/, 2), 'and the log says so';
    ok wait_until(sub { my ($body) = round('/cgi/env?again', conns($s, 1)); $body eq "again\n" }, 5), 'scripts run again';
}

my ($helper) = helpers();
$s->ends_well(crashed => 1);    # mod_cgid's own process was killed above
unlike $s->error_log =~ s/^.*exit signal Killed.*$//mr, qr/exit signal/, 'no child crashed';
ok !$s->slurp("/proc/$helper/cmdline"), 'the helper is gone';
ok !-e "$dir/run/cgisock", 'so is its socket';

undef $s;

done_testing;
