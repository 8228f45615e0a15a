# A response that the MPM can't see the end of holds its worker while the client does not read; a file does not.
use strict;
use warnings;
use POSIX ();
use Test::More;
use MPMTest::Test within => 60, qw(async conns data_file md5 narrow_conns probe_server wait_until);

my $SIZE = 8 << 20;
my $s = probe_server(
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 6, MaxRequestWorkers => 6,
        AsyncRequestWorkerFactor => 20 },
    backend => 1, conf => "EnableSendfile On\nTimeout 60\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my $file = data_file($s, 'file.bin', $SIZE);

# Waits until the asking request and so many others are busy.
sub busy_is {
    my ($n, $name) = @_;
    my $got;
    ok(wait_until(sub { $got = async($s); $got->{busy} == $n + 1 }, 5), $name) or diag explain $got;
    return;
}

sub begun { my @c = @_; return wait_until { !grep { !$_->_fill(Time::HiRes::time()) && !length $_->{in} } @c } 5 }

my @files = narrow_conns($s, 10);
$_->request('/file.bin') for @files;
ok begun(@files), 'ten clients that do not read a file';
busy_is(0, 'hold no worker: what is left waits for the sockets');

my @made = narrow_conns($s, 2);
$_->request("/probe/bytes?n=$SIZE") for @made;
ok begun(@made), 'two that do not read what a handler writes';
busy_is(2, 'hold a worker each');

my ($proxied) = narrow_conns($s, 1);
$proxied->request('/hold/');
my $backend = $s->{backend}->take(5);
my $body = join '', map { sprintf "%07d\n", $_ } 1 .. $SIZE / 8;
my $pid = fork // die "fork: $!";    # writes as fast as the server takes it
if (!$pid) { $s->{backend}->answer($backend, $body); POSIX::_exit(0) }
$backend->close;
ok begun($proxied), 'one that does not read what a backend sends';
busy_is(3, 'holds one as well');
is $s->get('/index.html')->{status}, 200, 'others are served meanwhile';

my ($whole) = $proxied->response(20)->{body};
is length $whole, $SIZE, 'when they read on, the backend\'s response is whole';
is md5($whole), md5($body), 'and right';
waitpid $pid, 0;
is scalar(grep { length $_->response(20)->{body} == $SIZE } @made), 2, 'the handler\'s responses, too';
busy_is(0, 'the workers are free');
is scalar(grep { md5($_->response(20)->{body}) eq $file } @files), 10, 'and so are the files';
$s->stop;
undef $s;

done_testing;
