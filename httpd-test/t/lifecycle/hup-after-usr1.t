# A SIGHUP that comes when a SIGUSR1 is being followed already, and httpd still gives the old configuration up: the restart
# isn't graceful any more, and the children of the old configuration have to go.
use strict;
use warnings;
use Test::More;
use MPMTest::Server qw(wait_until);
use MPMTest::Test within => 60, qw(is_stock probe_server);

my $s = probe_server(probe => 'ProbeEndSleep 1500', backend => 1,
    mpm => { StartServers => 2, ServerLimit => 8, ThreadsPerChild => 4, MaxRequestWorkers => 16, MinSpareThreads => 1,
        MaxSpareThreads => 100 });
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my %old = map { $_ => 1 } $s->children;
# mpm_event has told them to finish only: one that serves a request goes on for as long as that takes.
my $slow = is_stock() ? undef : $s->hold || BAIL_OUT('no request at the backend');

$s->configure(conf => $s->{conf} . "Redirect 410 /gone\n");
$s->clear_log_mark;
$s->signal('USR1');
ok $s->log_like(qr/AH00493/, 10), 'SIGUSR1 is being followed';
$s->signal('HUP');
ok wait_until(sub { $s->log_new =~ /AH00489/ }, 15), 'the new configuration is in force';
ok wait_until(sub { !grep { $old{$_} } $s->children }, 5), 'the old children are gone';
my @statuses = map { $s->get('/gone')->{status} } 1 .. 20;
is_deeply \@statuses, [ (410) x 20 ], 'all answers are by the new configuration';
is scalar(grep { $_->{old_gen} } $s->processes), 0, 'mod_status shows new children only';
$slow->{conn}->close if $slow;
is_stock() ? $s->stop : $s->ends_well;    # mpm_event forgets the old children, whose slots it gives to others
undef $s;

done_testing;
