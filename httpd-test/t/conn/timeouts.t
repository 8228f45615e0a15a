# KeepAliveTimeout and Timeout of an address: not early, not much late, restarted by progress.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 60, qw(shared conns narrow_conns close_times data_file);

my $s    = shared();
my $LATE = 2.5;    # seconds: the machine may stand still

{
    my @c = conns($s, 20, port => $s->port('ka2'));
    for my $c (@c) { $c->request('/index.html'); $c->response(5) }
    my $closed = close_times(8, @c);
    my %verdicts;
    $verdicts{ $c[$_]->fits($closed->{$_}, 3, $LATE) }++ for 0 .. $#c;
    is_deeply \%verdicts, { 'in time' => 20 }, 'KeepAliveTimeout 3 on its own address: closed after 3 s';
}

{
    my ($fast) = conns($s, 1, port => $s->port('ka2'));
    $fast->request('/index.html');
    $fast->response(5);
    my $good = 0;
    for (1 .. 4) {
        sleep 1;
        $fast->request('/index.html');
        $good++ if $fast->response(5)->{status} == 200;
    }
    is $good, 4, 'a request every second keeps a connection with KeepAliveTimeout 3';
}

{
    my @c = conns($s, 2, port => $s->port('ka1'));
    my $begin = time;
    $_->send("GET /index.html HTTP/1.1\r\nHos") for @c;
    my $closed = close_times(8, @c);
    my @after = map { ($closed->{$_} // 0) - $begin } 0 .. 1;
    ok $_ >= 2 && $_ < 5, sprintf 'Timeout 2: half a request is given up after %.2f s', $_ for @after;
}

{
    my $size = 30 << 20;
    data_file($s, 'timeout.bin', $size);
    my ($idle, $slow) = narrow_conns($s, 2, port => $s->port('ka2'));
    my $begin = time;
    $_->request('/timeout.bin') for $idle, $slow;
    while (time < $begin + 7) {    # one reads 1 MB now and then, the other nothing
        sleep 0.4;
        $slow->_fill(time) for 1 .. 16;
    }
    my $r = $slow->response(20);
    is length $r->{body}, $size, 'Timeout 4: a reader that makes progress for 7 s gets everything';
    $r = $idle->response(5);
    ok !$r->{complete}, 'one that read nothing does not';
    cmp_ok length $r->{body}, '<', $size, 'but was cut off: ' . length $r->{body};
}

done_testing;
