# PR 57374: when the wall clock was set back by years, no connection and no timer expired before it had caught up.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Spec;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 60, qw(beyond probe_server conns probe wait_until);

my $YEAR = 365 * 86_400;
my $LATE = 2.5;            # seconds: the machine may stand still

# The server's wall clock is this file's many seconds off.
my $dir = $ENV{MPMTEST_TMP} || File::Spec->tmpdir;
my ($clock, $shim) = ("$dir/wall-clock.$$", "$dir/wall-clock.$$.so");
END { unlink grep {defined} $clock, $shim }
sub set_clock {    # never truncated: it is mapped
    open my $fh, -e $clock ? '+<' : '>', $clock or die "$clock: $!";
    syswrite $fh, pack 'q', $_[0];
    return;
}
set_clock(0);
my $source = dirname(__FILE__) . '/wall-clock.c';
system(qw(cc -O -Wall -Wextra -shared -fPIC -o), $shim, $source) == 0 or BAIL_OUT('no C compiler');

my $port = MPMTest::Server->free_port;
my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 2, ThreadsPerChild => 8, MaxRequestWorkers => 8, AsyncRequestWorkerFactor => 50 },
    env  => { LD_PRELOAD => $shim, WALL_CLOCK => $clock },
    conf => <<"EOT",
Listen 127.0.0.1:$port
KeepAliveTimeout 3
Timeout 4
<VirtualHost 127.0.0.1:$port>
    ProbeOddState waitio
</VirtualHost>
EOT
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my $waitio = $s->get('/probe/query?code=19')->{body} =~ /^0 1$/m;

# kind => [seconds it waits, port, how it gets into that wait]
my %kinds = (
    'keep-alive'      => [3, $s->port, sub { $_[0]->request('/index.html');          $_[0]->response(5) }],
    'lingering close' => [2, $s->port, sub { $_[0]->request('/probe/close?short=1'); $_[0]->response(5); $_[0]->eof_within(5) }],
    $waitio ? ('wait-I/O' => [4, $port, sub { $_[0]->send("hello\n"); $_[0]->_fill(time + 5) }]) : (),
);

# Has the server closed it? A lingering close shows only when the client still sends.
sub over {
    my ($w) = @_;
    return $w->{kind} eq 'lingering close' ? !$w->{c}->send('more ', 0.1) : $w->{c}->eof_within(0);
}

sub verdict {
    my ($w) = @_;
    my $took = ($w->{over} // return 'never') - $w->{begin};
    return $took < $w->{after} ? sprintf('early: %.3f s', $took) : $took > $w->{after} + $LATE ? sprintf('late: %.3f s', $took) : 'in time';
}

# Everything waits, then the clock jumps: what each of them does, and the timers.
sub jump {
    my ($name, $to) = @_;
    my @waiting;
    for my $kind (sort keys %kinds) {
        my ($after, $at, $enter) = @{ $kinds{$kind} };
        for my $c (conns($s, 5, port => $at)) {
            push @waiting, { kind => $kind, c => $c, after => $after, begin => time };
            $enter->($c);
        }
    }
    my ($kept) = conns($s, 1);
    $kept->request('/index.html');
    is $kept->response(5)->{status}, 200, "$name: a request before";
    my $batch = probe($s, 'timers?n=20&ms=1500&spread=500')->{batch};
    set_clock($to);
    sleep 1;
    is $s->get('/index.html')->{status}, 200, 'and one after it';
    $kept->request('/index.html');
    is $kept->response(5)->{status}, 200, beyond('also on the same connection');
    my $end = time + 6;
    while (time < $end && grep { !$_->{over} } @waiting) {
        for my $w (grep { !$_->{over} } @waiting) { $w->{over} = time if over($w) }
        sleep 0.02;
    }
    for my $kind (sort keys %kinds) {
        my %verdicts;
        $verdicts{ verdict($_) }++ for grep { $_->{kind} eq $kind } @waiting;
        is_deeply \%verdicts, { 'in time' => 5 }, beyond("$kind: ends after its time");
    }
    my $timers;
    wait_until { $timers = probe($s, "timers/result?batch=$batch"); $timers->{fired} == 20 } 3;
    my $when = $timers->{late_max_us} < 1e6 * $LATE ? 'in time' : 'late';
    is "$timers->{fired} fired, $timers->{early} early, $when", '20 fired, 0 early, in time', beyond('timed callbacks');
    return;
}

jump('set back by five years', -5 * $YEAR);
like $s->get('/index.html')->{headers}{date}, qr/ @{[ 1900 + (gmtime time - 5 * $YEAR)[5] ]} /, 'the server believes that clock';
jump('set forward by ten', 5 * $YEAR);
$s->stop;
unlike $s->error_log, qr/exit signal/, beyond('nobody crashed');
undef $s;

done_testing;
