# HTTP/2: streams to files, CGI scripts and a proxied backend at once on one connection, over restarts.
use strict;
use warnings;
use Test::More;
use POSIX ();
use MPMTest::HTTP2 qw(have_h2 nghttp);
use MPMTest::Test within => 90, qw(probe_server shared wait_until data_file);
use MPMTest::Restarts qw(over_restarts);

for my $name (qw(http2 proxy proxy_http cgid)) { plan skip_all => "no mod_$name" unless shared()->has_module($name) }
plan skip_all => 'no nghttp' unless have_h2();

my $back = probe_server(mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 32, MaxRequestWorkers => 32 });
$back->start or BAIL_OUT('the backend does not start: ' . $back->console_text);
my $s = MPMTest::Server->new(
    modules => [qw(http2 proxy proxy_http cgid)],
    mpm => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 8, MaxRequestWorkers => 16, MinSpareThreads => 16,
        MaxSpareThreads => 48 },
);
my $dir = $s->dir;
mkdir "$dir/cgi";
chmod 0755, "$dir/cgi";
$s->write_file('cgi/script', "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nhead -c 20000 /dev/zero\n", 0755);
$s->configure(conf => <<"EOT");
Protocols h2c http/1.1
ScriptSock "$dir/run/cgisock"
ScriptAlias "/cgi/" "$dir/cgi/"
ProxyPass "/back/" "http://127.0.0.1:@{[ $back->port ]}/probe/"
EOT
data_file($s, 'file', 200_000);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

my %size = ('/file' => 200_000, '/index.html' => 9, '/cgi/script' => 20_000, '/back/bytes?n=50000' => 50_000, '/back/sleep?ms=20' => undef);

# One connection with each of these paths four times: how many streams were answered whole with 200; what nghttp said.
sub mixed {
    my (@paths) = @_;
    my $out = nghttp('-ns', map { my $n = $_; map { $s->url($_ . (/\?/ ? '&' : '?') . "k$n") } @paths } 1 .. 4);
    my $good = 0;
    # id, responseEnd, requestStart, process, code, size, path: sizes in K from 1,024 on
    while ($out =~ /^ *\d+ +\S+ +(?:\* *)?\S+ +\S+ +200 +(\d+)(K?) (\S+)[?&]k\d$/mg) {
        my ($n, $k, $want) = ($1, $2, $size{$3});
        $good++ if !defined $want || $n == ($k ? int($want / 1024) : $want);
    }
    return ($good, $out);
}

sub check {
    my ($when) = @_;
    my ($good, $out) = mixed(sort keys %size);
    is $good, 20, "20 streams of a mix, $when" or diag $out;
    return;
}

over_restarts($s, check => \&check, old_gone => 1, clients => [ { keepalive => 1, think => 0.005 }, { keepalive => 0, think => 0.01 } ]);

# Under way while the server restarts. (Not the scripts: mod_cgid misses some while its process is replaced.)
my @paths = grep { !/cgi/ } sort keys %size;
my @runs = map {
    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $read;
        my ($rounds, $good, $bad, $go) = (0, 0, '', 1);
        local $SIG{TERM} = sub { $go = 0 };
        while ($go) { my ($n, $out) = mixed(@paths); $rounds++; $good += $n; $bad ||= $out if $n != 16 }
        print {$write} "$rounds $good\n", $bad;
        close $write;
        POSIX::_exit(0);
    }
    close $write;
    { pid => $pid, read => $read };
} 1 .. 3;
for my $n (1 .. 3) { ok $s->graceful(old_gone => 1), "graceful restart $n with streams under way" }
my ($rounds, $good, @bad) = (0, 0);
for my $run (@runs) {
    kill TERM => $run->{pid};
    my $text = do { local $/; readline $run->{read} };
    waitpid $run->{pid}, 0;
    my ($n, $m) = $text =~ /^(\d+) (\d+)\n/ or next;
    $rounds += $n;
    $good += $m;
    push @bad, $text if $m != 16 * $n;
}
cmp_ok $rounds, '>', 5, "$rounds connections with 16 streams each";
is $good, 16 * $rounds, 'every stream was answered whole' or diag @bad;
$s->ends_well;
$back->ends_well;
undef $s;
undef $back;

done_testing;
