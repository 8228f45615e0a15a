# mod_fcgid: its process manager and the programs that it starts live and go with each generation.

use strict;
use warnings;
use Test::More;
use MPMTest::Reloads qw(load_over_reloads needs);
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 90;

needs(fcgid => 'libapache2-mod-fcgid');
plan skip_all => 'libfcgi-perl is not installed' unless eval { require FCGI; 1 };

my $s = MPMTest::Server->new(
    modules => ['fcgid'],
    mpm     => { ThreadsPerChild => 8, MaxRequestWorkers => 16, StartServers => 2, MaxSpareThreads => 100 },
);
$s->write_file('htdocs/count.fcgi', <<"EOT", 0755);
#!$^X
use FCGI;
my \$n = 0;
my \$request = FCGI::Request();
while (\$request->Accept >= 0) {
    my \$size = 0;
    while (read STDIN, my \$part, 8192) { \$size += length \$part }
    print "Content-Type: text/plain\\r\\n\\r\\npid \$\$ request ", ++\$n, " size \$size\\n";
}
EOT
$s->configure(conf => <<"EOT");
KeepAliveTimeout 60
MaxKeepAliveRequests 0
FcgidIPCDir "@{[ $s->dir ]}/run"
FcgidProcessTableFile "@{[ $s->dir ]}/run/table"
FcgidMaxProcessesPerClass 3
FcgidMaxRequestLen 1000000
<Files "*.fcgi">
    SetHandler fcgid-script
    Options +ExecCGI
</Files>
EOT
ok($s->start, 'started') or do { diag $s->console_text; done_testing; exit };

sub ask {
    my (%o) = @_;
    my ($pid, $n, $size) = $s->get('/count.fcgi', %o)->{body} =~ /^pid (\d+) request (\d+) size (\d+)$/ or return {};
    return { pid => $pid, n => $n, size => $size };
}

my $first = ask();
ok $first->{pid}, 'a program answers';
my @again = map { ask() } 1 .. 5;
is_deeply [ map {"$_->{pid} $_->{n}"} @again ], [ map {"$first->{pid} $_"} 2 .. 6 ], 'and stays for the next requests';
is ask(method => 'POST', body => 'x' x 200_000)->{size}, 200_000, 'it reads an upload';

my $count = load_over_reloads($s, '/count.fcgi');
# A request that meets the manager at its end may stay without an answer or get an error, with mpm_event as well.
is $count->{$_}, 0, "$_: none" for qw(refused partial died);
ok wait_until { !-e "/proc/$first->{pid}" } 10;
my $last = ask();
ok $last->{pid} && $last->{pid} != $first->{pid}, 'other programs answer after the restarts';
$s->ends_well;
ok !-e "/proc/$last->{pid}", 'and those have ended with the server';

done_testing;
