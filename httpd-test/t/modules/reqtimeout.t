# mod_reqtimeout: slow headers and bodies end in time, on new and kept connections, while all others are served.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 90, qw(probe_server conns shared wait_until);
use MPMTest::Restarts qw(over_restarts);

plan skip_all => 'no mod_reqtimeout' unless shared()->has_module('reqtimeout');

my $LATE = 1.5;    # seconds
my $s = probe_server(
    modules => ['reqtimeout'],
    mpm => { StartServers => 1, ServerLimit => 4, ThreadsPerChild => 16, MaxRequestWorkers => 32, MinSpareThreads => 12,
        MaxSpareThreads => 64 },
    conf => "RequestReadTimeout header=1 body=2\nTimeout 20\nKeepAliveTimeout 30\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

my $HALF = "GET / HTTP/1.1\r\nHost: loc";
my $POST = "POST /probe/digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nnot all of it";

# What a slow client got, and whether in time: "408", "closed", or what is wrong.
sub outcome {
    my ($slow) = @_;
    my ($c, $after) = @$slow{qw(c after)};
    my $r = $c->response($after + $LATE + 2);
    my $got = $r->{status} || ($r->{error} eq 'EOF' ? 'closed' : $r->{error});
    $got = "$got, and left open" unless $c->eof_within(2);
    my $took = time - $slow->{since};
    return "$got early: $took" if $took < $after - 0.05;    # APR rounds to milliseconds
    return "$got late: $took" if $took > $after + $LATE;
    return $got;
}

# A connection on which a request has been answered, or a new one.
sub conn { my ($kept) = @_; my ($c) = conns($s, 1); if ($kept) { $c->request('/'); $c->response } return $c }

# One try: how long others waited at worst while there are slow ones, and what those got.
sub slow_ones {
    my ($when) = @_;
    my @slow;
    for my $kept (0, 1) {
        my $name = $kept ? 'on a kept connection' : 'on a new connection';
        push @slow, map({ { name => "half a header $name", c => conn($kept), text => $HALF, after => 1 } } 1 .. 3),
            map({ { name => "half a body $name", c => conn($kept), text => $POST, after => 2 } } 1 .. 2);
    }
    for (@slow) { $_->{since} = time; $_->{c}->send($_->{text}) }
    my $worst = 0;
    for (1 .. 20) {
        my $begin = time;
        fail "no answer, $when" if $s->get('/', within => 5)->{status} != 200;
        $worst = time - $begin if time - $begin > $worst;
    }
    my %outcomes;    # each is timed when it is read: in the order in which they end
    $outcomes{ $_->{name} }{ outcome($_) }++ for sort { $a->{after} <=> $b->{after} } @slow;
    return ($worst, \%outcomes);
}

sub check {
    my ($when) = @_;
    my ($worst, $outcomes);
    for (1 .. 3) {    # a machine that stalls makes all of it late: the best of three counts
        ($worst, $outcomes) = slow_ones($when);
        last if $worst < 1 && !grep {/late|left open/} map { keys %$_ } values %$outcomes;
    }
    cmp_ok $worst, '<', 1, "others are served meanwhile, $when";
    is_deeply $outcomes, {
        (map { +"half a header on a $_ connection" => { 408 => 3 } } qw(new kept)),
        (map { +"half a body on a $_ connection"   => { 408 => 2 } } qw(new kept)),
    }, "408 in time, $when" or diag explain $outcomes;
    return;
}

over_restarts($s, check => \&check, old_gone => 1, clients => [ { keepalive => 1, think => 0.005 }, { keepalive => 0, think => 0.01 } ]);

# Idle connections are the MPM's: the header's time starts with the request.
my ($idle) = conns($s, 1);
$idle->request('/');
$idle->response;
ok !$idle->eof_within(2), 'a kept connection may idle for longer than that';
$idle->request('/');
is $idle->response->{status}, 200, 'and is served then';
$s->ends_well;
undef $s;

done_testing;
