# Lingering close: FIN first, then what the client still sends is drained for 30 s, or 2 s when a module says so.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 90, qw(shared conns close_times);

my $s = shared();

# Requests $path and reads the answer; ($conn, time of the request), the server having sent its FIN.
sub ended {
    my ($path, $behind) = @_;
    my ($c) = conns($s, 1);
    my $sent = time;
    $c->send("GET $path HTTP/1.1\r\nHost: localhost\r\n\r\n" . ($behind // ''));
    my $r = $c->response(5);
    is $r->{status}, 200, "$path is answered";
    is $r->{headers}{connection}, 'close', 'and announced as the last';
    ok $c->eof_within(1), 'FIN at once';
    ok !$c->error, 'no reset' or diag $c->error;
    return { c => $c, sent => $sent };
}

# How many seconds after its request the server gives a client up that goes on sending.
sub gives_up {
    my ($within, @ended) = @_;
    my $end = time + $within;
    while (time < $end && grep { !$_->{after} } @ended) {
        for my $e (grep { !$_->{after} } @ended) {
            $e->{after} = time - $e->{sent} if !$e->{c}->send('more ', 1);
        }
        sleep 0.1;
    }
    return map { $_->{after} // 9999 } @ended;
}

my $long  = ended('/probe/close');
my $first = ended('/probe/close', 'x' x 50_000);
my @short = map { ended('/probe/close?short=1') } 1 .. 3;

ok $first->{c}->send('y' x 500_000, 5), 'a client may send half a megabyte after the FIN';
$first->{c}->close;

{
    my @after = gives_up(6, @short);
    ok $_ >= 2 && $_ < 3.5, sprintf 'short-lingering-close: given up after %.2f s', $_ for @after;
}

{
    my @many = map { ended('/probe/close') } 1 .. 3;
    is $s->get('/index.html', within => 2)->{status}, 200, 'others are served';
    $_->{c}->close for @many;
}

my ($after) = gives_up(36, $long);
ok $after >= 29.5 && $after < 32.5, sprintf 'else: after %.2f s, though the client never stopped sending', $after;

done_testing;
