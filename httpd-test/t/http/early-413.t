# An error response while the client still sends: the client gets all of it, never a reset (lingering close).
use strict;
use warnings;
use IO::Select;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 90, qw(shared conns wait_until async);

my $s        = shared();
my $ATTEMPTS = 200;
my $UPLOAD   = 400_000;
my $PIECE    = 'u' x 8192;

# Sends on whatever comes back, and reads what comes back when all is sent; the response, or what went wrong.
sub attempt {
    my ($c) = @_;
    $c->request('/limited/probe/digest', method => 'POST', headers => { 'Content-Length' => $UPLOAD });
    my $end = time + 10;
    for (my $left = $UPLOAD; $left > 0; $left -= length $PIECE) {
        $c->send($PIECE, $end - time) or return 'could not send on: ' . ($! || 'timeout');
    }
    my $r = $c->response(5);
    return "no 413: $r->{status} " . ($r->{error} // '') if $r->{status} != 413;
    return 'body cut short: ' . ($r->{error} // '') if !$r->{complete} || $r->{body} !~ m{</html>\s*$};
    return 'not closed' if !$c->eof_within(5);
    return 'reset: ' . $c->error if $c->error;
    return 'whole';
}

{
    my %outcome;
    for (1 .. $ATTEMPTS) {
        my ($c) = conns($s, 1);
        $outcome{ attempt($c) }++;
    }
    is_deeply \%outcome, { whole => $ATTEMPTS }, "$ATTEMPTS uploads that are refused at once, response read to its end";
}

{
    my ($c) = conns($s, 1);
    $c->request('/limited/probe/digest', method => 'POST', headers => { 'Content-Length' => $UPLOAD });
    is $c->response(5)->{status}, 413, 'a client that reads first';
    ok $c->eof_within(2), 'sees the end of the stream';
    my $sent = grep { $c->send($PIECE, 5) } 1 .. 20;
    is $sent, 20, 'and can still send: the server drains';
    $c->close;
}

{
    my @c = conns($s, 60);
    $_->request('/limited/probe/digest', method => 'POST', headers => { 'Content-Length' => $UPLOAD }) for @c;
    my $good = grep { my $r = $_->response(5); $r->{status} == 413 && $r->{complete} } @c;
    is $good, 60, '60 clients that stop sending and stay';
    is $s->get('/index.html', within => 2)->{status}, 200, 'hold no worker';
    is scalar(grep { $_->eof_within(2) && !$_->error } @c), 60, 'all see the end of the stream, no reset';
}

done_testing;
