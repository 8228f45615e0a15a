# All workers busy for seconds: what needs none goes on, what needs one waits and is lost in no case.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 60, qw(beyond probe_server conns narrow_conns close_times data_file wait_until async);

my $s = probe_server(
    backend => 1,
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 4, MaxRequestWorkers => 4,
        AsyncRequestWorkerFactor => 50 },
    conf => "EnableSendfile On\nKeepAliveTimeout 30\nTimeout 30\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my $SIZE = 8 << 20;
data_file($s, 'busy.bin', $SIZE);

my @kept = conns($s, 10);
for my $c (@kept) { $c->request('/index.html'); $c->response(5) }
my @readers = narrow_conns($s, 6);
$_->request('/busy.bin') for @readers;
wait_until { !grep { !$_->_fill(time) && !length $_->{in} } @readers } 5;
ok wait_until(sub { async($s)->{busy} == 1 }, 5), '10 idle connections, 6 that do not read, no worker busy';

my $BUSY = 5;
my @busy = conns($s, 4);
my $begin = time;
$_->request('/probe/sleep?ms=' . 1000 * $BUSY) for @busy;
sleep 0.3;

# Now requests arrive on kept connections, a new client comes, and the readers read on.
$_->request('/probe/bytes?n=10&length=1', method => 'POST', body => 'x' x 100) for @kept[0 .. 4];
my ($new) = conns($s, 1);
$new->request('/index.html');
for my $c (@readers) { 1 while $c->_fill(time) }
# When the new one has waited for a second they give way.
is scalar(grep { $_ < $new->{asked} + 0.9 } values %{ close_times(0.4, @kept[5 .. 9]) }), 0,
    beyond("idle connections are not closed at once");
cmp_ok time - $begin, '<', $BUSY, 'all of that while the workers are busy';

is scalar(grep { $_->response(10)->{status} == 200 } @busy), 4, 'the busy ones end';
is scalar(grep { $_->response(5)->{status} == 200 } @kept[0 .. 4]), 5,
    beyond('the requests that arrived on kept connections meanwhile are answered');
is $new->response(5)->{status}, 200, 'and so is the new client';
is scalar(grep { length $_->response(10)->{body} == $SIZE } @readers), 6, 'the readers get everything';
$_->request('/index.html') for @kept[0 .. 4];
is scalar(grep { $_->response(5)->{status} == 200 } @kept[0 .. 4]), 5, beyond('and these connections go on');
$s->stop;

# A short KeepAliveTimeout while one worker of several is free: write events must not stop the clock.
$s->configure(conf => $s->{conf} . "KeepAliveTimeout 1\n");
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
@kept = conns($s, 10);
$begin = time;
for my $c (@kept) { $c->request('/index.html'); $c->response(5) }
@busy = conns($s, 3);
$_->request('/probe/sleep?ms=6000') for @busy;
my $closed = close_times(5.5, @kept);
is scalar keys %$closed, 10, 'KeepAliveTimeout 1 applies while 3 of 4 workers are busy';
is scalar(grep { $_ - $begin < 1 || $_ - $begin > 4.5 } values %$closed), 0, 'in time';
is scalar(grep { $_->response(10)->{status} == 200 } @busy), 3, 'the busy ones end';
$s->stop;

# A connection's time may pass while there is no worker to close it: it is still there when the request comes.
$s->configure(conf => $s->{conf} . "KeepAliveTimeout 4\n");
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my ($late) = conns($s, 1);
$late->request('/index.html');
is $late->response(5)->{status}, 200, 'a connection with KeepAliveTimeout 4';
my @holds = $s->holds(4);
is scalar(@holds), 4, 'all workers are busy';
ok !$late->eof_within(5), beyond('it is not closed while they are');
$late->request('/index.html');
ok !length $late->buffered, 'a request comes after that time';
is $s->release(@holds), 4, 'the busy ones end';
is $late->response(5)->{status}, 200, beyond('before a worker could close the connection, the request is answered');
$s->stop;
undef $s;

done_testing;
