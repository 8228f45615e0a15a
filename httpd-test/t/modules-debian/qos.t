# mod_qos: its limits hold, and it takes the MPM for event, so that it leaves keep-alive to it.

use strict;
use warnings;
use Test::More;
use MPMTest::Reloads qw(load_over_reloads needs no_crash);
use MPMTest::Server qw(module_dir);
use MPMTest::Test within => 60, qw(beyond);

needs(qos => 'libapache2-mod-qos');
my ($pcre) = glob '/lib/*/libpcre.so.3 /usr/lib/*/libpcre.so.3';
plan skip_all => 'libpcre3 is not installed' unless $pcre;

my $own = MPMTest::Server->free_port;
my $s = MPMTest::Server->new(
    backend  => 1,
    mpm      => { ThreadsPerChild => 8, MaxRequestWorkers => 16, StartServers => 2, MaxSpareThreads => 100 },
    pre_conf => qq{LoadFile "$pcre"\nLoadModule qos_module "} . module_dir() . qq{/mod_qos.so"\n},
    modules  => ['env'],
    conf     => <<"EOT");
KeepAliveTimeout 60
MaxKeepAliveRequests 0
QS_LocRequestLimit /hold/ 2
QS_SrvMinDataRate 1
Listen 127.0.0.1:$own
<VirtualHost 127.0.0.1:$own>
    SetEnv QS_KeepAliveTimeout 1
</VirtualHost>
EOT
ok($s->start, 'started') or do { diag $s->console_text; done_testing; exit };

# With another MPM it would manage keep-alive itself.
is $s->get('/server-status', port => $own)->{status}, 200, 'where QS_KeepAliveTimeout is set';
ok $s->log_like(qr/mod_qos\(037\): loaded MPM is 'event'/, 5), q{mod_qos says that the MPM is 'event'};

my @holds = $s->holds(2);
is scalar(@holds), 2, 'as many requests at once as QS_LocRequestLimit allows';
is $s->get('/hold/')->{status}, 500, 'one more is refused';
is $s->get('/')->{status}, 200, 'elsewhere there is no limit';
is scalar($s->release(@holds)), 2, 'the two are answered';
$s->at_rest;    # mod_qos counts a request until its worker is done with it
my $next = $s->hold;
ok $next, 'then there is room again';
is scalar($s->release($next)), 1, 'and an answer';

my $count = load_over_reloads($s, '/');
is $count->{$_}, 0, "$_: none" for qw(refused bad partial late died);
is $count->{lost}, 0, beyond('lost (sent, and answered by the end of the connection): none');
is scalar(@holds = $s->holds(2)), 2, 'after the restarts';
is $s->get('/hold/')->{status}, 500, 'the limit holds';
is scalar($s->release(@holds)), 2, 'and nothing else';
$s->ends_well;
no_crash($s);

done_testing;
