# What is said of a child and a server that have too much to do; compared with mpm_event's.

use strict;
use warnings;
use Test::More;
use MPMTest::Messages qw(messages says_as_stock);
use MPMTest::Test within => 90, qw(beyond);
use MPMTest::Server;

my %mpm = (ServerLimit => 1, ThreadLimit => 4, ThreadsPerChild => 2, MaxRequestWorkers => 2, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

sub server {
    my (%o) = @_;
    my $s = MPMTest::Server->new(backend => 1, %o, mpm => { %mpm, %{ $o{mpm} || {} } },
        conf => "KeepAliveTimeout 60\n" . ($o{conf} // ''));
    $s->start or die 'does not start: ' . $s->console_text;
    $s->clear_log_mark;
    return $s;
}

sub numbers { my ($said) = @_; s/\d+(?= (?:active|idle|lingering|clogged|suspended|children))|(?<=connections \()\d+/N/g for @$said; return $said }

my $again = 'debug AH00457: Accepting new connections again: '
    . 'N active conns (N lingering/N clogged/N suspended), N idle workers';

# mpm_event counts: with no idle worker the two connections of the busy ones are all that it takes.
says_as_stock('a child whose workers are busy, and are so no more', sub {
    my $s = server(@_);
    my @holds = $s->holds(2);
    my $waiting = $s->open_conn;
    $waiting->request('/', headers => { Connection => 'close' });
    $s->log_like(qr/not accepting/, 5);
    $s->release(@holds);
    $waiting->response;
    $s->log_like(qr/AH00457/, 5);
    return numbers([ @{ messages($s, qr/not accepting|AH00457/) }[ 0, 1 ] ]);
}, [
    'debug All workers busy, not accepting new conns in this process',
    $again,
], stock => [ 'debug Too many open connections (N), not accepting new conns in this process', $again ]);

says_as_stock('a child with as many connections as it takes', sub {
    my $s = server(@_, conf => "AsyncRequestWorkerFactor 1\n");
    my @kept;
    for (1 .. 8) {    # one after the other, so that no worker is ever missing
        push @kept, $s->open_conn;
        $kept[-1]->request('/');
        last unless $kept[-1]->response(3)->{status};
    }
    $s->log_like(qr/Too many open connections/, 5);
    my $said = messages($s, qr/not accepting/);
    $_->close for @kept;
    $s->log_like(qr/AH00457/, 5);
    return numbers([ (grep {/Too many/} @$said)[0], messages($s, qr/AH00457/)->[0] ]);
}, [
    'debug Too many open connections (N), not accepting new conns in this process',
    $again,
]);

says_as_stock('a server near its limit, then at it', sub {
    my $s = server(@_, mpm => { ThreadsPerChild => 4, MaxRequestWorkers => 4, MinSpareThreads => 3 });
    my @holds = $s->holds(2);
    $s->log_like(qr/AH10159/, 5);
    push @holds, $s->holds(2);
    $s->log_like(qr/AH00484/, 5);
    $s->release(@holds);
    return messages($s, qr/AH(?:10159|00484)/);
}, [
    'error AH10159: server is within MinSpareThreads of MaxRequestWorkers, consider raising the MaxRequestWorkers setting',
    'error AH00484: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting',
]);

says_as_stock('a server at its limit, again after reloads: it is said once a minute', sub {
    my $s = server(@_, mpm => { ServerLimit => 4 });
    my @holds = $s->holds(2);
    $s->log_like(qr/AH00484/, 5);
    for (1 .. 2) {
        $s->graceful;
        push @holds, $s->holds(2);
        sleep 3;    # the parent looks once a second
    }
    $s->release(@holds);
    return messages($s, qr/AH00484/);
}, ['error AH00484: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting']);

says_as_stock('AH03490: the slots are taken by children that finish', sub {
    my $s = server(@_, mpm => { ServerLimit => 2, StartServers => 1, MaxRequestWorkers => 4 });
    my @slow = $s->holds(1);    # two would have a second child started
    $s->graceful(serve => 0);
    push @slow, $s->holds(2);
    $s->log_like(qr/AH03490/, 8) or diag $s->log_new;
    $s->release(@slow);
    return [ messages($s, qr/AH03490/)->[0] ];
}, ['error AH03490: scoreboard is full, not at MaxRequestWorkers.Increase ServerLimit.']);

# AH00486 comes when the spawn rate has grown to 8. Beside the children that serve there are two that finish, as each takes
# one connection only.
subtest 'AH00486 and its numbers' => sub {
    my $s = server(conf => "MaxConnectionsPerChild 1\n", mpm => { ServerLimit => 30, ThreadsPerChild => 1,
        MaxRequestWorkers => 26, StartServers => 4, MinSpareThreads => 24 });
    my @slow = $s->holds(2);
    is scalar(@slow), 2, 'two requests are under way';
    ok $s->log_like(qr/AH00486.*\n/, 15), 'AH00486' or return;
    my ($before, $said) = $s->error_log =~ /^(.*?)\n[^\n]*(AH00486: [^\n]*)/s;
    my ($spawned, $active, $finishing) = $said =~ /^AH00486: server seems busy, \(you may need to increase StartServers, ThreadsPerChild or Min\/MaxSpareThreads\), spawning (\d+) children, there are around \d+ idle threads, (\d+) active children, and (\d+) children that are shutting down$/
        or diag $said;
    my $last = ($s->child_events($before))[-1];
    is $spawned, 8, 'how many are being started';
    is $active, $last->{active}, 'how many serve';
    is $finishing, 2, beyond('how many are finishing; mpm_event says how many there are in all');
    is scalar($s->release(@slow)), 2, 'the two requests are answered';
    $s->ends_well;
};

done_testing;
