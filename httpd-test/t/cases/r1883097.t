# r1883097, r1891716: a lingering close ended with a reset, which took unread data from the client; and when the child
# was to end, it held that up for 30 s.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 120, qw(probe_server conns narrow_conns data_file md5 probe wait_until);

my ($LINGER, $SHORT) = (30, 2);    # seconds
my $UPLOAD   = 400_000;
my $PIECE    = 'u' x 8192;
my $ATTEMPTS = 200;
my $LATE     = 3;

# Both paths refuse uploads; what /long answers is longer than the client's receive buffer.
my $BIG = 100_000;
sub server {
    my $s = probe_server(
        mpm => { StartServers => 1, ServerLimit => 4, ThreadsPerChild => 8, MaxRequestWorkers => 8, AsyncRequestWorkerFactor => 50 },
        conf => <<"EOT",
SendBufferSize 200000
<Location "/refused">
    SetHandler mpm-probe
    LimitRequestBody 1000
    Require all granted
</Location>
Redirect 413 "/long"
<Location "/long">
    ErrorDocument 413 /big.html
</Location>
EOT
    );
    $s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
    return ($s, data_file($s, 'big.html', $BIG));
}

sub upload {
    my ($c, $path) = @_;
    return $c->request("$path/probe/digest", method => 'POST', headers => { 'Content-Length' => $UPLOAD });
}

# Clients that have read an error response to its end, and go on sending then.
sub senders {
    my ($s, $n) = @_;
    my @c = conns($s, $n);
    upload($_, '/refused') for @c;
    my $good = grep { $_->response(5)->{status} == 413 && $_->eof_within(5) && !$_->error } @c;
    is $good, $n, "$n clients get an error response and the end of the stream, no reset";
    return @c;
}

# Clients that read only when the server has long closed, and what they read then.
sub sleepers {
    my ($s, $n) = @_;
    my @c = narrow_conns($s, $n, buffer => 4096);
    upload($_, '/long') for @c;
    return @c;
}

sub outcome {
    my ($c, $md5) = @_;
    my $r = $c->response(10);
    return "no 413: $r->{status} " . ($r->{error} // '') if $r->{status} != 413;
    return "cut short: $r->{error}" if !$r->{complete};
    return 'not what was sent' if $md5 ? md5($r->{body}) ne $md5 : $r->{body} !~ m{</html>\s*$};
    return 'not closed' if !$c->eof_within(5);
    return $c->error ? 'reset: ' . $c->error : 'whole';
}

sub outcomes { my ($md5, @c) = @_; my %n; $n{ outcome($_, $md5) }++ for @c; return join ', ', map {"$n{$_} $_"} sort keys %n }

my ($s, $big) = server();
my @senders  = senders($s, 3);
my @sleepers = sleepers($s, 3);

{    # Clients that send all they have, whatever comes back, and then read.
    my ($n, %outcome) = (0);
    while ($n < $ATTEMPTS && time < $senders[0]{asked} + 10) {    # those linger for 30 s, and there is more to do meanwhile
        $n++;
        my ($c) = conns($s, 1);
        upload($c, '/refused');
        my $sent = grep { $c->send($PIECE, 5) } 1 .. $UPLOAD / length $PIECE;
        $outcome{ $sent < int($UPLOAD / length $PIECE) ? "could not send on: $!" : outcome($c) }++;
    }
    is_deeply \%outcome, { whole => $n }, "$n uploads that are refused at once, response read to its end";
}

{
    my @c = senders($s, 60);
    is $s->get('/index.html', within => 10)->{status}, 200, '60 that stay hold no worker';
}

subtest 'a child that finishes' => sub {
    my ($ending, $md5) = server();
    my ($old) = $ending->children;
    my @before = senders($ending, 3);
    my @unread = sleepers($ending, 3);
    my ($late) = conns($ending, 1);
    $late->request('/probe/sleep?ms=4000');
    sleep 0.3;
    ok $ending->graceful, 'graceful restart';
    for my $closed (MPMTest::Conn::drained_until(10, @before)) {
        my $after = ($closed // 9**9**9) - $before[0]{asked};
        ok $after >= $SHORT && $after < $SHORT + $LATE, sprintf 'drains for 2 s: %.2f s', $after;
    }
    is $late->response(8)->{headers}{connection}, 'close', 'a response of the finishing child';
    my ($closed) = MPMTest::Conn::drained_until(10, $late);
    my $after = ($closed // 9**9**9) - $late->{asked} - 4;
    ok $after >= $SHORT - 0.2 && $after < $SHORT + $LATE, sprintf 'is followed by 2 s of draining: %.2f s', $after;
    ok wait_until(sub { !grep { $_ == $old } $ending->children }, 5), 'then the child ends';
    is outcomes($md5, @unread), '3 whole', 'those that read only now get all of it, and no reset';
    $ending->ends_well;
};

for my $stop ([TERM => 5], [WINCH => $SHORT + 4]) {
    my ($signal, $within) = @$stop;
    subtest "stop by SIG$signal" => sub {
        my ($ending, $md5) = server();
        my @c      = senders($ending, 5);
        my @unread = sleepers($ending, 5);
        ok wait_until(sub { my $n = probe($ending, 'counters'); $n->{pre_connection} - $n->{closed} == 11 }, 5), '10 in lingering close';
        sleep 0.2;
        my $end = $ending->stop(signal => $signal);
        is_deeply [ @$end{qw(exit killed leftover)} ], [ 0, 0, [] ], 'ends with 0, by itself, with no child left';
        cmp_ok $end->{seconds}, '<', $within, sprintf 'not delayed: %.2f s', $end->{seconds};
        is outcomes($md5, @unread), '5 whole', 'those that read only now get all of it, and no reset';
    };
}

my $first = $senders[0]{asked};
for my $closed (MPMTest::Conn::drained_until($first + $LINGER + 2 * $LATE - time, @senders)) {
    my $after = ($closed // 9**9**9) - $first;
    ok $after >= $LINGER && $after < $LINGER + $LATE, sprintf 'else: drains for 30 s: %.2f s', $after;
}
ok wait_until(sub { my $n = probe($s, 'counters'); $n->{closed} == $n->{pre_connection} - 1 }, 5), 'all have been closed';
is outcomes($big, @sleepers), '3 whole', 'those that read only now get all of it, and no reset';
$s->ends_well;
undef $s;

done_testing;
