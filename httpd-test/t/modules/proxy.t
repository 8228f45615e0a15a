# mod_proxy_http and a balancer: kept connections to slow and fast backends, big bodies both ways, over restarts.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(probe_server conns shared wait_until md5);
use MPMTest::Restarts qw(over_restarts round);

my @MODULES = qw(proxy proxy_http proxy_balancer lbmethod_byrequests slotmem_shm);
for my $name (@MODULES) { plan skip_all => "no mod_$name" unless shared()->has_module($name) }

# The backend is a server of its own, with two addresses that say their names; it is not restarted.
my $second = MPMTest::Server->free_port;
my $back = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 32, MaxRequestWorkers => 32, AsyncRequestWorkerFactor => 8 },
    conf => "KeepAliveTimeout 60\nMaxKeepAliveRequests 0\nListen 127.0.0.1:$second\n",
);
$back->write_file("htdocs/$_/member", "$_\n") for map { mkdir $back->htdocs . "/$_"; chmod 0755, $back->htdocs . "/$_"; $_ } qw(one two);
my ($one, $two) = ($back->port, $second);
$back->configure(conf => $back->{conf} . join '', map {
    my ($port, $name) = @$_;
    "<VirtualHost 127.0.0.1:$port>\nDocumentRoot \"@{[ $back->htdocs ]}/$name\"\n</VirtualHost>\n"
} [ $one, 'one' ], [ $two, 'two' ]);
$back->start or BAIL_OUT('the backend does not start: ' . $back->console_text);

my $s = MPMTest::Server->new(
    backend => 1,
    modules => \@MODULES,
    mpm  => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 8, MaxRequestWorkers => 16, MinSpareThreads => 16,
        MaxSpareThreads => 48 },
    conf => <<"EOT",
ProxyPass "/back/" "http://127.0.0.1:$one/" keepalive=on
<Proxy "balancer://members">
    BalancerMember "http://127.0.0.1:$one"
    BalancerMember "http://127.0.0.1:$two"
</Proxy>
ProxyPass "/both/" "balancer://members/"
EOT
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

sub backend_connections { return ($back->get('/probe/counters')->{body} =~ /^pre_connection: (\d+)/m)[0] }

my $big = join '', map { sprintf "%09d\n", $_ } 1 .. 400_000;

sub check {
    my ($when) = @_;
    my $before = backend_connections();
    my @bodies = map { round('/back/member', conns($s, 4)) } 1 .. 25;
    is scalar(grep { $_ eq "one\n" } @bodies), 100, "100 proxied requests, $when";
    my $made = backend_connections() - $before;
    cmp_ok $made, '<=', 16 + 4 + 2, "connections to the backend are kept: $made, $when";    # a worker each at most, and the load's

    my %members;
    $members{$_}++ for map { round('/both/member', conns($s, 4)) } 1 .. 10;
    is join(' ', map { s/\n//r } sort keys %members), 'one two', "a balancer uses both its members, $when" or diag explain \%members;

    my ($c) = conns($s, 1);
    is length((round('/back/probe/bytes?n=5000000', $c))[0]), 5_000_000, "5 MB from the backend, $when";
    ($c) = conns($s, 1);
    $c->request('/back/probe/digest', method => 'POST', body => $big);
    is $c->response(20)->{body} =~ s/\s+$//r, length($big) . ' ' . md5($big), "4 MB to the backend, $when";

    my @slow = conns($s, 8);
    $_->request('/back/probe/slowhead?ms=700') for @slow;
    is scalar(grep { $_ eq "one\n" } map { round('/back/member', conns($s, 2)) } 1 .. 5), 10, "others are served while the backend is slow, $when";
    is scalar(grep { my $r = $_->response(10); $r->{status} == 200 && $r->{complete} } @slow), 8, "and slow answers come whole, $when";
    return;
}

over_restarts($s, check => \&check, old_gone => 1, clients => [
    { keepalive => 1, path => '/back/member', think => 0.005 }, { keepalive => 0, path => '/back/member', think => 0.01 },
    { keepalive => 1, path => '/both/member', think => 0.005 }, { keepalive => 0, path => '/both/member', think => 0.01 } ]);

my @holds = $s->holds(3);
ok $s->graceful, 'graceful restart';
is $s->release(@holds), 3, 'requests at the backend meanwhile are answered';
$_->{conn}->close for @holds;
$s->ends_well;
$back->ends_well;
undef $s;
undef $back;

done_testing;
