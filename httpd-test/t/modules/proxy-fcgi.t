# mod_proxy_fcgi: fast, slow and big answers of a FastCGI responder, on new and kept connections to it, over restarts.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(conns shared wait_until md5);
use MPMTest::FastCGI;
use MPMTest::Restarts qw(over_restarts round);

for my $name (qw(proxy proxy_fcgi)) { plan skip_all => "no mod_$name" unless shared()->has_module($name) }

my $served = 0;
my $responder = MPMTest::FastCGI->new(sub {
    my ($env, $body) = @_;
    my $n = ++$served;    # each connection counts its own
    my %text = (count => $n, args => $env->{QUERY_STRING}, digest => length($body) . ' ' . md5($body), big => 'x' x 3_000_000,
        error => 'ok', slow => 'done');
    my ($name) = $env->{REQUEST_URI} =~ m{^/\w+/(\w+)};
    wait_until { -e $env->{HTTP_X_WAIT_FOR} } 30 if $name eq 'slow';
    return ("Content-Type: text/plain\r\n\r\n$text{$name}", $name eq 'error' ? "said by the responder: $env->{QUERY_STRING}" : '');
});

my $s = MPMTest::Server->new(
    modules => [qw(proxy proxy_fcgi)],
    mpm  => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 8, MaxRequestWorkers => 16, MinSpareThreads => 16,
        MaxSpareThreads => 48 },
    conf => join('', map {
        my ($path, $options) = @$_;
        qq{ProxyPass "/$path/" "fcgi://127.0.0.1:@{[ $responder->port ]}/$path/" $options\n}
    } [ 'new', 'disablereuse=on' ], [ 'kept', 'enablereuse=on' ]),
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my $go = $s->htdocs . '/go';    # slow answers wait for it

sub check {
    my ($when) = @_;
    my @bodies = map { round('/new/args?a=1', conns($s, 4)) } 1 .. 10;
    is scalar(grep { $_ eq 'a=1' } @bodies), 40, "40 requests, $when";
    my $most = 0;
    for (map { round('/kept/count', conns($s, 2)) } 1 .. 40) { $most = $_ if $_ > $most }
    cmp_ok $most, '>', 2, "connections to the responder are kept: $most requests on one, $when";

    my @c = conns($s, 3);
    $c[0]->request('/kept/digest', method => 'POST', body => 'y' x 2_000_000);
    is $c[0]->response(20)->{body}, '2000000 ' . md5('y' x 2_000_000), "2 MB to the responder, $when";
    is length((round('/kept/big', $c[1]))[0]), 3_000_000, "3 MB from it, $when";
    (my $mark = $when) =~ tr/ /_/;
    is_deeply [ round("/kept/error?$mark", $c[2]) ], ['ok'], "an answer with a complaint, $when";
    ok $s->log_like(qr/said by the responder: $mark\b/, 5), "which is logged, $when";

    unlink $go;
    my @slow = conns($s, 6);
    $_->request('/new/slow', headers => { 'X-Wait-For' => $go }) for @slow;
    is_deeply [ round('/new/args?b=2', conns($s, 4)) ], [ ('b=2') x 4 ], "others are served while it is slow, $when";
    $s->write_file('htdocs/go', '');
    is scalar(grep { $_->response(10)->{body} eq 'done' } @slow), 6, "and slow answers arrive, $when";
    return;
}

over_restarts($s, check => \&check, old_gone => 1, clients => [
    map { { keepalive => 1, path => "/$_/args?l", think => 0.005 }, { keepalive => 0, path => "/$_/args?l", think => 0.01 } } qw(new kept) ]);

unlink $go;
my ($slow) = conns($s, 1);
$slow->request('/kept/slow', headers => { 'X-Wait-For' => $go });
ok wait_until(sub { ($s->status->{BusyWorkers} // 0) == 2 }, 5), 'a request is with the responder';
ok $s->graceful, 'graceful restart';
$s->write_file('htdocs/go', '');
is $slow->response(10)->{body}, 'done', 'it is answered';
$slow->close;
$s->ends_well;
undef $s;

done_testing;
