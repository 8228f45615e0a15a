# mod_security2: rules block by query and by body, on kept connections and over restarts.

use strict;
use warnings;
use Test::More;
use MPMTest::Reloads qw(load_over_reloads needs no_crash);
use MPMTest::Server;
use MPMTest::Test within => 60, qw(beyond);

needs(security2 => 'libapache2-mod-security2');

my $s = MPMTest::Server->new(
    modules => [qw(unique_id security2)],
    mpm     => { ThreadsPerChild => 8, MaxRequestWorkers => 16, StartServers => 2, MaxSpareThreads => 100 },
    conf    => <<'EOT');
KeepAliveTimeout 60
MaxKeepAliveRequests 0
EOT
$s->configure(conf => $s->{conf} . <<"EOT");
AddType text/plain .txt
SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html
SecTmpDir "@{[ $s->dir ]}/run"
SecDataDir "@{[ $s->dir ]}/run"
SecAuditEngine Off
SecRule ARGS "\@contains evil" "id:1,phase:2,deny,status:403"
SecRule RESPONSE_BODY "\@contains secret" "id:2,phase:4,deny,status:404"
EOT
$s->write_file('htdocs/secret.txt', "a secret\n");
$s->write_file('htdocs/big.bin',    'x' x 300_000);
ok($s->start, 'started') or do { diag $s->console_text; done_testing; exit };

my %form = (method => 'POST', headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
my @requests = (
    ['/?a=good',    200], ['/?a=evil', 403], ['/secret.txt', 404], ['/big.bin', 200],
    ['/', 403, %form, body => 'a=evil'], ['/', 403, %form, body => 'b=' . 'x' x 50_000 . '&a=evil'],
    ['/',           200],
);

sub rules_hold {
    my ($when) = @_;
    my $conn = $s->open_conn;
    my @got;
    for my $request (@requests) {
        my ($path, undef, %o) = @$request;
        $conn->request($path, %o);
        my $r = $conn->response;
        push @got, $r->{complete} ? $r->{status} : $r->{error};
    }
    return is_deeply \@got, [ map { $_->[1] } @requests ], "$when: blocked and let pass on one kept connection";
}

rules_hold('at first');
my $count = load_over_reloads($s, '/?a=good');
is $count->{$_}, 0, "$_: none" for qw(refused bad partial late died);
is $count->{lost}, 0, beyond('lost (sent, and answered by the end of the connection): none');
rules_hold('after the restarts');
$s->ends_well;
no_crash($s);

done_testing;
