# Several Listen lines: ports, IPv4 and IPv6 addresses, both at once; every child serves all of them.
use strict;
use warnings;
use IO::Socket::IP;
use Test::More;
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 40, qw(conns);

my @ports = map { MPMTest::Server->free_port } 1 .. 5;
my $ipv6 = !!IO::Socket::IP->new(Listen => 1, LocalAddr => '::1', LocalPort => 0);
my %mpm = (StartServers => 2, ServerLimit => 2, ThreadsPerChild => 4, MaxRequestWorkers => 8);

# A name for each address, told by the document that its virtual host has.
sub server {
    my (%names) = @_;
    my @listen = sort keys %names;
    my $s = MPMTest::Server->new(port => $ports[0], listen => \@listen, mpm => \%mpm);
    my $conf = '';
    for my $at (@listen) {
        my $root = $s->htdocs . "/$names{$at}";
        mkdir $root;
        $s->write_file("$root/index.html", $names{$at});
        $conf .= qq{<VirtualHost } . ($at =~ /^\d+$/ ? "*:$at" : $at) . qq{>\nDocumentRoot "$root"\n</VirtualHost>\n};
    }
    $s->configure(conf => $conf);
    return $s;
}

sub at { my ($s, $host, $port) = @_; return $s->get('/', host => $host, port => $port, within => 5)->{body} }

# How many children have served something since the log was emptied.
sub servers { my ($s) = @_; my %pids = map { $_ => 1 } $s->access_log =~ /^(\d+) /mg; return scalar keys %pids }

subtest 'addresses and ports' => sub {
    my ($port, $second) = @ports;
    my %names = ("127.0.0.1:$port" => 'one', "127.0.0.2:$port" => 'two', "127.0.0.1:$second" => 'second',
        $ipv6 ? ("[::1]:$port" => 'six') : ());
    my $s = server(%names);
    ok($s->start, 'started') or return;
    for my $at (sort keys %names) {
        my ($host, $to) = $at =~ /^\[?(.*?)\]?:(\d+)$/;
        is at($s, $host, $to), $names{$at}, "$at is served";
        ok wait_until(sub { at($s, $host, $to) eq $names{$at} && servers($s) == 2 }, 10, 0.001), 'by both children';
        $s->write_file('logs/access_log', '');
        my ($kept) = conns($s, 1, host => $host, port => $to);
        my $good = 0;
        for (1 .. 5) { $kept->request('/'); $good++ if $kept->response(5)->{body} eq $names{$at} }
        is $good, 5, 'and keeps its connections';
    }
    ok !$s->open_conn(host => '127.0.0.3', within => 1), 'an address that is not listened on refuses';
    ok !$s->open_conn(host => '127.0.0.2', port => $second, within => 1), 'and so does one without that port';
    $s->ends_well;
};

subtest 'a port on all addresses' => sub {
    my $s = server("127.0.0.1:$ports[0]" => 'main', $ports[2] => 'all');
    ok($s->start, 'started') or return;
    is at($s, $_, $ports[2]), 'all', "$_ is served" for '127.0.0.1', '127.0.0.2', $ipv6 ? '::1' : ();
    ok $s->graceful(old_gone => 1), 'graceful restart';
    is at($s, $_, $ports[2]), 'all', "$_ is served after it" for '127.0.0.1', '127.0.0.2', $ipv6 ? '::1' : ();
    $s->ends_well;
};

subtest 'IPv4 only' => sub {
    my $s = server("127.0.0.1:$ports[0]" => 'main', "0.0.0.0:$ports[3]" => 'four');
    ok($s->start, 'started') or return;
    is at($s, $_, $ports[3]), 'four', "$_ is served" for '127.0.0.1', '127.0.0.2';
    ok !$s->open_conn(host => '::1', port => $ports[3], within => 1), '::1 is not';
    $s->ends_well;
};

subtest 'no Listen line' => sub {
    my $s = MPMTest::Server->new(port => $ports[4], listen => []);
    $s->configure(listen => ['']);
    $s->write_file('httpd.conf', $s->conf_text =~ s/^Listen.*\n//mr);
    $s->start(answer => 0);
    is $s->wait_exit(10), 1, 'the server exits with 1';
    like $s->console_text, qr/no listening sockets available, shutting down\nAH00015: Unable to open logs$/m, 'and says why';
};

done_testing;
