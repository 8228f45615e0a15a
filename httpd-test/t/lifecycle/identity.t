# What the module is called, everywhere a server or an administrator asks: <IfModule>, LogLevel, -M, -V, -L,
# mod_status, and the refusals when two MPMs meet.

use strict;
use warnings;
use Test::More;
use MPMTest::Server qw(wait_until is_stock mpm_module mpm_symbol module_dir);

my $symbol = mpm_symbol();
my %limits = (ServerLimit => 4, StartServers => 1, MinSpareThreads => 1, MaxSpareThreads => 100);

subtest 'IfModule sections hold' => sub {
    my @names = ('mpm_event_module', 'event.c', $symbol);
    my $n = 0;
    my $conf = join '', map { "<IfModule $_>\nDefine SEEN_" . $n++ . "\n</IfModule>\n" } @names;
    my $s = MPMTest::Server->new(conf => "$conf<IfModule !mpm_event_module>\nDefine SEEN_NOT\n</IfModule>\n");
    my $run = $s->console('-t', '-DDUMP_RUN_CFG');
    is $run->{exit}, 0, 'configuration read' or diag $run->{out};
    like $run->{out}, qr/^Define: SEEN_$_$/m, "<IfModule $names[$_]>" for 0 .. $#names;
    unlike $run->{out}, qr/SEEN_NOT/, '<IfModule !mpm_event_module> does not hold';
};

subtest 'tuning inside <IfModule mpm_event_module> is in force' => sub {
    my $s = MPMTest::Server->new(conf => <<"EOT");
<IfModule mpm_event_module>
    StartServers 2
    ThreadsPerChild 3
    MaxRequestWorkers 6
    MaxSpareThreads 100
</IfModule>
EOT
    ok($s->start, 'started') or return;
    ok wait_until { ($s->status->{Scoreboard} // '') =~ /^[_W]{6}\.*$/ } 5;
    my $status = $s->status;
    is +($status->{BusyWorkers} // 0) + ($status->{IdleWorkers} // 0), 6, '2 processes of 3 threads, before and after a restart';
    ok $s->graceful(old_gone => 1), 'graceful restart';
    ok wait_until { my $st = $s->status; ($st->{BusyWorkers} // 0) + ($st->{IdleWorkers} // 0) == 6 } 5;
    is $s->status->{ServerMPM}, 'event', 'mod_status: ServerMPM is event after it, too';
    is $s->stop->{exit}, 0, 'stopped';
};

subtest 'LogLevel by module name reaches our messages' => sub {
    for my $case (['mpm_event', 1], [$symbol =~ s/_module$//r, 1], ['core', 0]) {
        my ($name, $want) = @$case;
        my $s = MPMTest::Server->new(mpm => {%limits}, loglevel => "warn $name:debug");
        ok $s->start, "started with LogLevel $name:debug" or diag $s->console_text;
        ok wait_until { $s->children } 5;
        if ($want) {
            ok $s->log_like(qr/_event:debug\] .*Child 0 started: pid \d+, gen 0/, 5), 'debug message logged';
        }
        else {
            ok $s->stop->{exit} == 0, 'stopped';
            unlike $s->error_log, qr/Child \d started/, 'no debug message';
        }
    }
};

subtest 'what the server says of its MPM' => sub {
    my $s = MPMTest::Server->new(mpm => {%limits});
    my $modules = $s->console('-M');
    like $modules->{out}, qr/^ \Q$symbol\E \(shared\)$/m, '-M lists it';
    is $s->console('-t')->{exit}, 0, '-t';
    my $vhosts = $s->console('-S');
    is $vhosts->{exit}, 0, '-S';
    like $vhosts->{out}, qr/^PidFile: "\Q@{[ $s->pid_file ]}\E"$/m, '-S prints its configuration';
    my $version = $s->console('-V');
    is $version->{exit}, 0, '-V';
    like $version->{out}, qr/^\s+threaded:\s+yes \(fixed thread count\)\n\s+forked:\s+yes \(variable process count\)$/m,
        '-V: threaded with a fixed count, forked with a variable one';
SKIP: {
        skip 'its own name is only ours', 1 if is_stock();
        like $version->{out}, qr/^Server MPM:\s+rust_event$/m, '-V: Server MPM: rust_event';
    }
    ok($s->start, 'started') or return;
    is $s->status->{ServerMPM}, 'event', 'mod_status of the running server: ServerMPM: event';
    like $s->get('/server-status')->{body}, qr/Server MPM: event/, 'and in its page';
};

subtest '-L lists the directives, with their source' => sub {
    my $s = MPMTest::Server->new;
    my $out = $s->console('-L')->{out};
    my %file = map { /^(\S+) \((\S+)\)$/ ? (lc $1 => $2) : () } split /\n/, $out;
    my @own = qw(AsyncRequestWorkerFactor GracefulShutdownTimeout Listen ListenBacklog ListenCoresBucketsRatio MaxClients
        MaxRequestWorkers MaxSpareThreads MinSpareThreads ReceiveBufferSize SendBufferSize ServerLimit StartServers
        ThreadLimit ThreadsPerChild);
    is $file{ lc $_ }, 'event.c', $_ for @own;
    for my $name (qw(CoreDumpDirectory Group MaxConnectionsPerChild MaxMemFree PidFile
        ScoreBoardFile ThreadStackSize User)) {
        ok $file{ lc $name }, "$name (of the core)";
    }
    like $out, qr/^AsyncRequestWorkerFactor .*\n\t.+\n\tAllowed in \*\.conf only outside <Directory>/m,
        'allowed outside of <Directory> only';
};

subtest 'LoadModule mpm_event_module with this file' => sub {
    my $s = MPMTest::Server->new(mpm => {%limits}, symbol => 'mpm_event_module');
    like $s->console('-M')->{out}, qr/^ mpm_event_module \(shared\)$/m, '-M lists it under that name';
    ok $s->start, 'starts' or return diag $s->console_text;
    ok $s->log_like(qr/\[mpm_event:notice\].*AH00489: /, 5), 'its messages carry that name';
    ok $s->graceful(old_gone => 1), 'graceful restart';
    ok $s->hard_restart, 'hard restart';
    is $s->get('/')->{status}, 200, 'serves';
    my $end = $s->stop;
    is_deeply [ @$end{qw(exit killed leftover)} ], [0, 0, []], 'stops';
};

subtest 'two MPMs together are refused' => sub {
    my $mine = qq{LoadModule $symbol "} . mpm_module() . qq{"\n};
    my @others = grep { -e module_dir() . "/mod_$_.so" } is_stock() ? 'mpm_worker' : qw(mpm_event mpm_worker);
    plan skip_all => 'no other MPM installed' unless @others;
    for my $other (@others) {
        my $theirs = qq{LoadModule ${other}_module "} . module_dir() . qq{/mod_$other.so"\n};
        for my $order ([$mine, $theirs], [$theirs, $mine]) {
            my $s = MPMTest::Server->new(loadline => join '', @$order);
            my $run = $s->console('-t');
            is $run->{exit}, 1, "$other: exit 1";
            like $run->{out}, qr/AH00534: .*Configuration error: More than one MPM loaded\./, 'AH00534';
            is $run->{signal}, 0, 'no crash';
        }
    }
};

subtest 'another MPM after a restart is refused, in order' => sub {
    my $other = is_stock() ? 'mpm_worker' : 'mpm_event';
    plan skip_all => "no mod_$other" unless -e module_dir() . "/mod_$other.so";
    my $theirs = qq{LoadModule ${other}_module "} . module_dir() . qq{/mod_$other.so"\n};
    my $mine = qq{LoadModule $symbol "} . mpm_module() . qq{"\n};
    for my $case (['USR1', $mine, $theirs], ['HUP', $mine, $theirs], ['USR1', $theirs, $mine]) {
        my ($signal, $from, $to) = @$case;
        my $s = MPMTest::Server->new(mpm => {%limits}, loadline => $from);
        ok($s->start, 'started') or return;
        ok wait_until { $s->children } 5;
        $s->configure(loadline => $to);
        $s->signal($signal);
        is $s->wait_exit(10), 1, $signal . ($to eq $mine ? ', from the other to ours' : '') . ': the server ends with 1';
        like $s->console_text . $s->error_log, qr/AH00534: .*The MPM cannot be changed during restart\./, 'and says why';
        ok wait_until { !$s->members } 5;
        is_deeply [ $s->members ], [], 'no child is left';
        unlike $s->error_log, qr/exit signal/, 'nobody crashed';
    }
};

done_testing;
