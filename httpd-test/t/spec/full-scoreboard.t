# While old children fill the scoreboard, no child is told to finish because there is little to do; afterwards it is.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(wait_until);
use MPMTest::Server;

my $s = MPMTest::Server->new(
    mpm => { StartServers => 1, ServerLimit => 3, ThreadsPerChild => 4, MaxRequestWorkers => 12, MinSpareThreads => 1,
        MaxSpareThreads => 100 },
    backend => 1, conf => "KeepAliveTimeout 60\n",
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my $slow = $s->hold or BAIL_OUT('no request at the backend');

$s->configure(mpm => { StartServers => 2, MaxSpareThreads => 6 });
$s->clear_log_mark;
ok $s->graceful, 'a reload while a request is served';
ok wait_until(sub { $s->processes == 3 }, 5), 'the old child and two new ones: ServerLimit is reached';
my ($old) = map { $_->{pid} } grep { $_->{old_gen} } $s->processes;
my %new = map { $_->{pid} => 1 } grep { !$_->{old_gen} } $s->processes;

# Eight threads are free where six are enough. The parent looks once a second.
my $finishing = wait_until { grep { $_->{event} eq 'quiescing' && $new{ $_->{pid} } } $s->child_events($s->log_new) } 4;
is $finishing, 0, 'MaxSpareThreads ends none of them for four looks of the parent';
is scalar(grep { $_->{stopping} eq 'no' } $s->processes), 2, 'both serve';

is $s->release($slow), 1, 'the slow request is answered';
$slow->{conn}->close;
ok wait_until(sub { !grep { $_ == $old } $s->children }, 10), 'and the old child is gone';
ok $s->log_like(qr/Child \d quiescing: pid (?!$old\b)/, 10), 'now one is too many' or diag $s->log_new;
ok wait_until(sub { $s->children == 1 }, 10), 'and ends';
is $s->get('/')->{status}, 200, 'the other serves';
$s->ends_well;
undef $s;

done_testing;
