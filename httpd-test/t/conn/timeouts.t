# KeepAliveTimeout and Timeout: each virtual host's own, never early, not much late, restarted by progress.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 60, qw(shared conns narrow_conns close_times data_file);

my $s    = shared();
my $LATE = 1;      # seconds; httpd's own event MPM checks its queues every 0.1 s

# Requests on a new connection; it and the time at which the last request was sent.
sub kept {
    my ($port, @hosts) = @_;
    my ($c) = conns($s, 1, port => $s->port($port));
    my $sent;
    for my $host (@hosts) {
        $sent = time;
        $c->request('/index.html', headers => { Host => $host });
        $c->response(5)->{status} == 200 or die "no answer from $host\n";
    }
    return { c => $c, sent => $sent, answered => time };
}

# What a closing $after seconds after the last request looks like, for one connection.
sub verdict {
    my ($k, $closed, $after) = @_;
    return 'not closed' if !$closed;
    return sprintf 'early: %.4f s', $closed - $k->{sent}     if $closed - $k->{sent} < $after;
    return sprintf 'late: %.3f s',  $closed - $k->{answered} if $closed - $k->{answered} > $after + $LATE;
    return 'in time';
}

{
    my %cases = (
        'KeepAliveTimeout 1000ms'                         => [1, map { kept('ka1', 'ka1') } 1 .. 20],
        'KeepAliveTimeout 3 on another address'           => [3, map { kept('ka2', 'ka2') } 1 .. 20],
        'name-based: the base host'                       => [4, kept('names', 'base.test')],
        'name-based: the one with a shorter timeout'      => [1, kept('names', 'quick.test')],
        'the last request counts: quick, then base'       => [4, kept('names', 'quick.test', 'base.test')],
        'the last request counts: base, then quick'       => [1, kept('names', 'base.test', 'base.test', 'quick.test')],
        'a host without its own takes the base host\'s'   => [4, kept('names', 'unset.test')],
        'quick, then a host without its own'              => [4, kept('names', 'quick.test', 'unset.test')],
    );
    my @all = map { @{$_}[1 .. $#$_] } values %cases;
    my $closed = close_times(7, map { $_->{c} } @all);
    $all[$_]{closed} = $closed->{$_} for 0 .. $#all;
    for my $name (sort keys %cases) {
        my ($after, @kept) = @{ $cases{$name} };
        my %verdicts;
        $verdicts{ verdict($_, $_->{closed}, $after) }++ for @kept;
        is_deeply \%verdicts, { 'in time' => scalar @kept }, "$name: closed after $after s";
    }
}

{
    my ($fast) = conns($s, 1, port => $s->port('ka1'));
    $fast->request('/index.html');
    $fast->response(5);
    my $good = 0;
    for (1 .. 4) {
        sleep 0.8;
        $fast->request('/index.html');
        $good++ if $fast->response(5)->{status} == 200;
    }
    is $good, 4, 'a request every 0.8 s keeps a connection with KeepAliveTimeout 1000ms';
}

{
    my @c = conns($s, 2, port => $s->port('ka1'));
    my $begin = time;
    $_->send("GET /index.html HTTP/1.1\r\nHos") for @c;
    my $closed = close_times(6, @c);
    my @after = map { ($closed->{$_} // 0) - $begin } 0 .. 1;
    ok $_ >= 2 && $_ < 4, sprintf 'Timeout 2: half a request is given up after %.2f s', $_ for @after;
}

{
    my $size = 30 << 20;
    data_file($s, 'timeout.bin', $size);
    my ($idle, $slow) = narrow_conns($s, 2, port => $s->port('ka1'));
    my $begin = time;
    $_->request('/timeout.bin') for $idle, $slow;
    while (time < $begin + 5) {    # one reads 1 MB now and then, the other nothing
        sleep 0.4;
        $slow->_fill(time) for 1 .. 16;
    }
    my $r = $slow->response(20);
    is length $r->{body}, $size, 'Timeout 2: a reader that makes progress for 5 s gets everything';
    $r = $idle->response(5);
    ok !$r->{complete}, 'one that read nothing does not';
    cmp_ok length $r->{body}, '<', $size, 'but was cut off: ' . length $r->{body};
}

done_testing;
