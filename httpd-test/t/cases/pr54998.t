# PR 54998: when KeepAliveTimeout ended a TLS connection, the client got a bare FIN and no close_notify.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use MPMTest::Test within => 40, qw(shared conns);

plan skip_all => 'no IO::Socket::SSL' unless eval { require IO::Socket::SSL; require Net::SSLeay; 1 };
my $s = shared();
plan skip_all => 'no mod_ssl' unless $s->has_module('ssl');

my $KEPT = 2;    # the virtual host's KeepAliveTimeout
my $LATE = 2.5;  # seconds: the machine may stand still

# A connection that so many requests have been answered on, the last one as given.
sub answered {
    my ($tls, $requests, %last) = @_;
    my ($c) = conns($s, 1, port => $s->port('ssl'), tls => $tls);
    for my $n (1 .. $requests) {
        $c->request('/index.html', $n == $requests ? %last : ());
        $c->response(5)->{status} == 200 or BAIL_OUT('no answer');
    }
    return $c;
}

# How each of the streams ends within so many seconds, and when: [how, time] in order.
sub endings {
    my ($within, @c) = @_;
    my ($end, @endings) = time + $within;
    while (time < $end && grep { !$endings[$_] } 0 .. $#c) {
        for my $i (grep { !$endings[$_] } 0 .. $#c) {
            my $n = sysread $c[$i]->sock, my $data, 1000;
            next if $n || !defined $n && $!{EAGAIN};
            my $notified = Net::SSLeay::get_shutdown($c[$i]->sock->_get_ssl_object) & 2;
            $endings[$i] = [$notified ? 'close_notify' : 'bare end', time];
        }
        sleep 0.01;
    }
    return map { $endings[$_] // ['still open', 0] } 0 .. $#c;
}

for my $version (qw(TLSv1_2 TLSv1_3)) {
    my @c = map { answered({ SSL_version => $version }, $_) } 1, 4;
    my @ends = endings($KEPT + 4, @c);
    is_deeply [ map { $_->[0] } @ends ], [ ('close_notify') x 2 ], "$version: KeepAliveTimeout ends with a close_notify";
    is_deeply [ map { $c[$_]->fits($ends[$_][1], $KEPT, $LATE) } 0, 1 ], [ ('in time') x 2 ], "$version: in time";
    my ($closed) = endings(6, answered({ SSL_version => $version }, 2, headers => { Connection => 'close' }));
    is $closed->[0], 'close_notify', "$version: and so does Connection: close";
}

{
    my @c = map { answered({}, 1) } 1 .. 40;
    my %how;
    $how{ $_->[0] }++ for endings(6, @c);
    is_deeply \%how, { close_notify => 40 }, '40 connections on 8 workers: all end with a close_notify';
}

done_testing;
