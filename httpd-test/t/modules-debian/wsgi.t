# mod_wsgi: applications embedded in the children and in a daemon process group, over restarts.

use strict;
use warnings;
use Test::More;
use MPMTest::Reloads qw(load_over_reloads needs no_crash);
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 60;

needs(wsgi => 'libapache2-mod-wsgi-py3');

my $s = MPMTest::Server->new(
    modules => ['wsgi'],
    mpm     => { ThreadsPerChild => 8, MaxRequestWorkers => 16, StartServers => 2, MaxSpareThreads => 100 },
);
$s->write_file('app.wsgi', <<'EOT');
import os, mod_wsgi
requests = 0
def application(environ, start_response):
    global requests
    requests += 1
    size = len(environ['wsgi.input'].read())
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [('pid %d group %r requests %d size %d\n' % (os.getpid(), mod_wsgi.process_group, requests, size)).encode()]
EOT
# Not in a sub-interpreter: mod_wsgi 4.9 with Python 3.11 does not get to the end of one when a child ends.
$s->configure(conf => <<"EOT");
KeepAliveTimeout 60
MaxKeepAliveRequests 0
WSGISocketPrefix "@{[ $s->dir ]}/run/wsgi"
WSGIDaemonProcess pool processes=2 threads=3 home="@{[ $s->dir ]}"
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /embedded "@{[ $s->dir ]}/app.wsgi"
WSGIScriptAlias /daemon "@{[ $s->dir ]}/app.wsgi" process-group=pool
EOT
ok($s->start, 'started') or do { diag $s->console_text; done_testing; exit };

# Who answered; empty when nobody did.
sub ask {
    my ($path, %o) = @_;
    my $r = $s->get($path, %o);
    my ($pid, $group, $size) = $r->{body} =~ /^pid (\d+) group '(\w*)' requests \d+ size (\d+)$/ or return {};
    return { pid => $pid, group => $group, size => $size };
}

# Processes of the group: they are the parent's children, as the MPM's own, but never answer on a port.
sub who_answers {
    my ($when) = @_;
    my %mpm = map { $_->{pid} => 1 } $s->processes;
    my @embedded = map { ask('/embedded') } 1 .. 5;
    is scalar(grep { $_->{pid} && $mpm{ $_->{pid} } && $_->{group} eq '' } @embedded), 5, "$when: embedded, in a child of the MPM";
    my @daemon = map { ask('/daemon') } 1 .. 5;
    is scalar(grep { $_->{pid} && !$mpm{ $_->{pid} } && $_->{group} eq 'pool' } @daemon), 5, "$when: in the group, and not in a child";
    return map { $_->{pid} } @daemon;
}

my %first = map { $_ => 1 } who_answers('at first');
is ask($_, method => 'POST', body => 'x' x 200_000)->{size}, 200_000, "$_ reads an upload" for qw(/embedded /daemon);

my $embedded = load_over_reloads($s, '/embedded');
is $embedded->{$_}, 0, "embedded: $_: none" for qw(refused bad partial late died);
my $daemon = load_over_reloads($s, '/daemon');
is $daemon->{$_}, 0, "in the group: $_: none" for qw(refused partial late died);
my @now = who_answers('after the restarts');
ok !grep({ $first{$_} } @now), 'the first processes of the group have gone';
ok wait_until { !grep { -e "/proc/$_" } keys %first } 10;
$s->ends_well;
no_crash($s);

done_testing;
