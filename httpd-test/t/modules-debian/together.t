# Debian's third-party modules all at once, with TLS, HTTP/2, Lua and the traffic shapers: each does its work, over
# HTTP/1 and HTTP/2 and over restarts.

use strict;
use warnings;
use Test::More;
use MPMTest::HTTP2 qw(h2load have_h2);
use MPMTest::Reloads qw(load_over_reloads needs no_crash);
use MPMTest::Server qw(module_dir);
use MPMTest::Test within => 90;

needs(perl => 'libapache2-mod-perl2', wsgi => 'libapache2-mod-wsgi-py3', qos => 'libapache2-mod-qos',
    security2 => 'libapache2-mod-security2', fcgid => 'libapache2-mod-fcgid');
my ($pcre) = glob '/lib/*/libpcre.so.3 /usr/lib/*/libpcre.so.3';
plan skip_all => 'libpcre3 is not installed'       unless $pcre;
plan skip_all => 'libfcgi-perl is not installed'   unless eval { require FCGI; 1 };
plan skip_all => 'nghttp2-client is not installed' unless have_h2;

my $tls = MPMTest::Server->free_port;
my $s = MPMTest::Server->new(
    mpm => { ThreadsPerChild => 8, MaxRequestWorkers => 32, StartServers => 2, MaxSpareThreads => 100 },
    pre_conf => qq{LoadFile "$pcre"\nLoadModule qos_module "} . module_dir() . qq{/mod_qos.so"\n},
    modules  => [qw(perl wsgi security2 unique_id fcgid socache_shmcb ssl http2 lua env reqtimeout ratelimit)],
);
my $dir = $s->dir;
$s->write_file('htdocs/page.fcgi', <<"EOT", 0755);
#!$^X
use FCGI;
my \$request = FCGI::Request();
while (\$request->Accept >= 0) { print "Content-Type: text/plain\\r\\n\\r\\nfcgid\\n" }
EOT
$s->write_file('app.wsgi', <<'EOT');
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'wsgi\n']
EOT
$s->write_file('page.lua', <<'EOT');
function handle(r)
    r.content_type = "text/plain"
    r:puts("lua\n")
    return apache2.OK
end
EOT
$s->write_file('htdocs/rated', 'x' x 60_000);
$s->configure(conf => <<"EOT");
KeepAliveTimeout 60
MaxKeepAliveRequests 0
Protocols h2 h2c http/1.1
RequestReadTimeout header=20-40,MinRate=500 body=20,MinRate=500
QS_SrvMaxConn 500
QS_LocRequestLimit /limited 1
SecRuleEngine On
SecRequestBodyAccess On
SecDataDir "$dir/run"
SecTmpDir "$dir/run"
SecAuditEngine Off
SecRule ARGS "\@contains evil" "id:1,phase:2,deny,status:403"
<Perl>
package Probe::Page;
use Apache2::RequestIO ();
use Apache2::RequestRec ();
sub handler { my \$r = shift; \$r->content_type('text/plain'); \$r->print("perl\\n"); return 0 }
\$INC{'Probe/Page.pm'} = __FILE__;
</Perl>
<Location "/perl">
    SetHandler modperl
    PerlResponseHandler Probe::Page
</Location>
WSGISocketPrefix "$dir/run/wsgi"
WSGIDaemonProcess pool threads=3 home="$dir"
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /embedded "$dir/app.wsgi"
WSGIScriptAlias /daemon "$dir/app.wsgi" process-group=pool
FcgidIPCDir "$dir/run"
FcgidProcessTableFile "$dir/run/table"
<Files "*.fcgi">
    SetHandler fcgid-script
    Options +ExecCGI
</Files>
LuaMapHandler "^/lua\$" "$dir/page.lua"
<Location "/rated">
    SetOutputFilter RATE_LIMIT
    SetEnv rate-limit 100
</Location>
Listen 127.0.0.1:$tls
<VirtualHost 127.0.0.1:$tls>
    DocumentRoot "$dir/htdocs"
    SSLEngine on
    SSLCertificateFile "$ENV{MPMTEST_WORK}/tls/cert.pem"
    SSLCertificateKeyFile "$ENV{MPMTEST_WORK}/tls/key.pem"
</VirtualHost>
EOT
ok($s->start, 'started') or do { diag $s->console_text; done_testing; exit };

my %page = ('/perl' => 'perl', '/embedded' => 'wsgi', '/daemon' => 'wsgi', '/page.fcgi' => 'fcgid', '/lua' => 'lua', '/' => 'It works');

sub all_work {
    my ($when) = @_;
    my $conn = $s->open_conn;
    my %got = map { $conn->request($_); $_ => $conn->response->{body} =~ s/\n\z//r } sort keys %page;
    is_deeply \%got, \%page, "$when: on one kept connection, each module answers";
    is $s->get('/lua?a=evil')->{status}, 403, 'mod_security2 blocks';
    is length $s->get('/rated')->{body}, 60_000, 'a slowed answer is whole';
    for my $url (map { my $base = $_; map {"$base$_"} sort keys %page } "https://127.0.0.1:$tls", $s->url('')) {
        my $r = h2load('-n', 60, '-c', 2, '-m', 10, $url);
        is $r->{'2xx'}, 60, "HTTP/2: $url" or diag $r->{out};
    }
    return;
}

all_work('at first');
my $count = load_over_reloads($s, '/perl');
is $count->{$_}, 0, "$_: none" for qw(refused bad partial late died);
all_work('after the restarts');
$s->ends_well;
no_crash($s);

done_testing;
