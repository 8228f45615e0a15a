# Directives out of range, out of place or changed over a restart: which value is used instead, and what is said of it
# (AH00497 to AH00521). Each complaint has a form for the console at the start and one for the error log at a restart.

use strict;
use warnings;
use Test::More;
use MPMTest::Server qw(wait_until);

my %base = (ServerLimit => 4, ThreadLimit => 8, ThreadsPerChild => 4, MaxRequestWorkers => 16, StartServers => 1,
    MinSpareThreads => 1, MaxSpareThreads => 100);

# [ what is set, id and text at the start, id and text at a restart ]
my @table = (
    [{ ServerLimit => 20001 },
        'AH00497: WARNING: ServerLimit of 20001 exceeds compile-time limit of 20000 servers, decreasing to 20000.',
        'AH00498: ServerLimit of 20001 exceeds compile-time limit of 20000, decreasing to match'],
    [{ ServerLimit => 0 },
        'AH00499: WARNING: ServerLimit of 0 not allowed, increasing to 1.',
        'AH00500: ServerLimit of 0 not allowed, increasing to 1'],
    [{ ServerLimit => -7 },
        'AH00499: WARNING: ServerLimit of -7 not allowed, increasing to 1.',
        'AH00500: ServerLimit of -7 not allowed, increasing to 1'],
    [{ ServerLimit => 'many' },
        'AH00499: WARNING: ServerLimit of 0 not allowed, increasing to 1.',
        'AH00500: ServerLimit of 0 not allowed, increasing to 1'],
    [{ ThreadLimit => 100001 },
        'AH00502: WARNING: ThreadLimit of 100001 exceeds compile-time limit of 100000 threads, decreasing to 100000.',
        'AH00503: ThreadLimit of 100001 exceeds compile-time limit of 100000, decreasing to match'],
    [{ ThreadLimit => 0 },
        'AH00504: WARNING: ThreadLimit of 0 not allowed, increasing to 1.',
        'AH00505: ThreadLimit of 0 not allowed, increasing to 1'],
    [{ ThreadsPerChild => 9 },
        'AH00507: WARNING: ThreadsPerChild of 9 exceeds ThreadLimit of 8 threads, decreasing to 8. '
            . 'To increase, please see the ThreadLimit directive.',
        'AH00508: ThreadsPerChild of 9 exceeds ThreadLimit of 8, decreasing to match'],
    [{ ThreadsPerChild => 0 },
        'AH00509: WARNING: ThreadsPerChild of 0 not allowed, increasing to 1.',
        'AH00510: ThreadsPerChild of 0 not allowed, increasing to 1'],
    [{ MaxRequestWorkers => 3 },
        'AH00511: WARNING: MaxRequestWorkers of 3 is less than ThreadsPerChild of 4, increasing to 4. '
            . 'MaxRequestWorkers must be at least as large as the number of threads in a single server.',
        'AH00512: MaxRequestWorkers of 3 is less than ThreadsPerChild of 4, increasing to match'],
    [{ MaxRequestWorkers => 15 },
        'AH00513: WARNING: MaxRequestWorkers of 15 is not an integer multiple of ThreadsPerChild of 4, '
            . 'decreasing to nearest multiple 12, for a maximum of 3 servers.',
        'AH00514: MaxRequestWorkers of 15 is not an integer multiple of ThreadsPerChild of 4, '
            . 'decreasing to nearest multiple 12'],
    [{ MaxRequestWorkers => 32 },
        'AH00515: WARNING: MaxRequestWorkers of 32 would require 8 servers and would exceed ServerLimit of 4, '
            . 'decreasing to 16. To increase, please see the ServerLimit directive.',
        'AH00516: MaxRequestWorkers of 32 would require 8 servers and exceed ServerLimit of 4, decreasing to 16'],
    [{ StartServers => 0 },
        'AH00517: WARNING: StartServers of 0 not allowed, increasing to 1.',
        'AH00518: StartServers of 0 not allowed, increasing to 1'],
    [{ MinSpareThreads => 0 },
        'AH00519: WARNING: MinSpareThreads of 0 not allowed, increasing to 1 to avoid almost certain server failure. '
            . 'Please read the documentation.',
        'AH00520: MinSpareThreads of 0 not allowed, increasing to 1'],
);

sub name { my ($set) = @_; return join ' ', %$set }

subtest 'at the start, on the console' => sub {
    for my $row (@table) {
        my ($set, $console, $log) = @$row;
        my $s = MPMTest::Server->new(mpm => { %base, %$set });
        my $run = $s->console('-t');
        is $run->{exit}, 0, name($set) . ' is accepted';
        like $run->{out}, qr/^\Q$console\E$/m, substr $console, 0, 7;
        unlike $run->{out}, qr/\Q@{[ substr $log, 0, 7 ]}\E/, 'and not in the form for a restart';
    }
    my $s = MPMTest::Server->new(mpm => { %base, ThreadsPerChild => '4threads' });
    my $run = $s->console('-t');
    is $run->{out}, "Syntax OK\n", 'text after a number is ignored, and good values cause no message';
};

subtest 'a server with bad values starts and serves with the corrected ones' => sub {
    my $s = MPMTest::Server->new(mpm => { %base, ThreadsPerChild => 9, StartServers => 0, MinSpareThreads => -1 });
    ok($s->start, 'started') or return;
    like $s->console_text, qr/^$_: WARNING: /m, "$_ on standard error" for qw(AH00507 AH00517 AH00519);
    # httpd reads its configuration twice; the second time counts as a restart.
    like $s->error_log, qr/ $_: /m, "$_ in the error log" for qw(AH00508 AH00518 AH00520);
    unlike $s->console_text, qr/AH005(?:08|18|20): /, 'and not on standard error';
    ok wait_until { ($s->status->{Scoreboard} // '') =~ /^[_W]{8}\.*$/ } 5;
    ok wait_until(sub { $s->status->{Scoreboard} =~ /^[_W]{8}\.{8}$/ }, 2), 'one child of ThreadLimit threads, two at most'
        or diag $s->status->{Scoreboard};
};

subtest 'at a restart, in the error log' => sub {
    my $s = MPMTest::Server->new(mpm => {%base});
    ok($s->start, 'started') or return;
    for my $row (@table) {
        my ($set, $console, $log) = @$row;
        $s->configure(mpm => { %base, %$set });
        $s->clear_log_mark;
        ok $s->graceful, name($set) . ': serving after a graceful restart' or last;
        my $id = substr $log, 0, 7;
        like $s->log_new, qr/^\[.*:warn\] .*\Q$log\E$/m, $id;
        unlike $s->log_new . $s->console_text, qr/\Q@{[ substr $console, 0, 7 ]}\E/, 'not in the form for the start';
    }
    is $s->stop->{exit}, 0, 'stopped';
};

subtest 'ServerLimit and ThreadLimit stay what they were' => sub {
    my $s = MPMTest::Server->new(mpm => {%base});
    ok($s->start, 'started') or return;
    $s->configure(mpm => { %base, ServerLimit => 8, ThreadLimit => 16, ThreadsPerChild => 12, MaxRequestWorkers => 64 });
    for my $signal (qw(USR1 HUP)) {
        $s->clear_log_mark;
        ok $s->graceful(signal => $signal), "$signal";
        my $log = $s->log_new;
        like $log, qr/AH00501: changing ServerLimit to 8 from original value of 4 not allowed during restart$/m,
            'AH00501';
        like $log, qr/AH00506: changing ThreadLimit to 16 from original value of 8 not allowed during restart$/m,
            'AH00506';
        like $log, qr/AH00508: ThreadsPerChild of 12 exceeds ThreadLimit of 8, decreasing to match$/m,
            'the old ThreadLimit is what counts';
        like $log, qr/AH00516: MaxRequestWorkers of 64 would require 8 servers and exceed ServerLimit of 4, decreasing to 32$/m,
            'and the old ServerLimit';
    }
    $s->configure(mpm => {%base});
    $s->clear_log_mark;
    ok $s->graceful, 'back to the first values';
    unlike $s->log_new, qr/AH005\d\d/, 'no message';
};

subtest 'the other numbers may change over a restart' => sub {
    my $s = MPMTest::Server->new(mpm => {%base});
    ok($s->start, 'started') or return;
    my $servers = sub { scalar grep { !$_->{old_gen} && $_->{stopping} eq 'no' } $s->processes };
    is scalar(wait_until { $servers->() == 1 } 5), 1, 'StartServers 1: one child';
    $s->configure(mpm => { StartServers => 3 });
    ok $s->graceful(old_gone => 1), 'graceful restart with StartServers 3';
    ok wait_until(sub { $servers->() == 3 }, 5), 'three children';
    $s->configure(mpm => { MaxSpareThreads => 6 });
    ok $s->graceful, 'graceful restart with MaxSpareThreads 6';
    ok wait_until(sub { $servers->() == 1 }, 10), 'shrinks to one child';
    $s->configure(mpm => { StartServers => 1, MinSpareThreads => 9, MaxSpareThreads => 100 });
    ok $s->graceful(old_gone => 1), 'graceful restart with MinSpareThreads 9';
    ok wait_until(sub { $servers->() == 3 }, 10), 'grows to three children';
    $s->configure(mpm => { MinSpareThreads => 100, MaxSpareThreads => 200, MaxRequestWorkers => 8 });
    ok $s->graceful(old_gone => 1), 'graceful restart with MaxRequestWorkers 8';
    ok wait_until(sub { $s->log_like(qr/AH10159/, 0) && $servers->() == 2 }, 10), 'two children at most';
    is $servers->(), 2, 'and it stays so';
};

subtest 'MaxClients' => sub {
    my $s = MPMTest::Server->new(mpm => { %base, MaxRequestWorkers => undef, MaxClients => 32 });
    my $run = $s->console('-t', '-e', 'info');
    is $run->{exit}, 0, 'accepted';
    like $run->{out}, qr/AH00521: MaxClients is deprecated, use MaxRequestWorkers instead\.$/m, 'AH00521';
    like $run->{out}, qr/AH00515: WARNING: MaxRequestWorkers of 32 would/, 'and it sets MaxRequestWorkers';
    unlike $s->console('-t')->{out}, qr/AH00521/, 'said at level info only';
};

subtest 'AsyncRequestWorkerFactor' => sub {
    my @bad = (
        ['abc', 'error parsing value'], ['2x', 'error parsing value'],
        ['0', 'AsyncRequestWorkerFactor argument must be a positive number'],
        ['-1.5', 'AsyncRequestWorkerFactor argument must be a positive number'],
    );
    for my $case (@bad) {
        my ($value, $text) = @$case;
        my $run = MPMTest::Server->new(conf => "AsyncRequestWorkerFactor $value\n")->console('-t');
        is $run->{exit}, 1, "$value is refused";
        like $run->{out}, qr/^AH00526: Syntax error on line \d+ of \S+:\n\Q$text\E$/m, $text;
    }
    for my $value (qw(2 1.5 1e1 0.5 0.01)) {
        my $run = MPMTest::Server->new(conf => "AsyncRequestWorkerFactor $value\n")->console('-t');
        is $run->{out}, "Syntax OK\n", "$value is accepted";
    }
};

# Directives, each with a good value.
my @directives = (
    [StartServers => 1], [ServerLimit => 4], [MinSpareThreads => 1], [MaxSpareThreads => 9], [MaxClients => 16],
    [MaxRequestWorkers => 16], [ThreadsPerChild => 4], [ThreadLimit => 8], [AsyncRequestWorkerFactor => 2],
    [GracefulShutdownTimeout => 5], [ListenBacklog => 50], [ListenCoresBucketsRatio => 1], [SendBufferSize => 0],
    [ReceiveBufferSize => 0],
);

subtest 'directives in the wrong place or with the wrong number of arguments' => sub {
    for my $row (@directives) {
        my ($name, $value) = @$row;
        my $try = sub {
            my $s = MPMTest::Server->new(conf => $_[0]);
            return $s->console('-t')->{out};
        };
        like $try->("<VirtualHost *:1>\n$name $value\n</VirtualHost>"),
            qr/^AH00526: Syntax error on line \d+ of \S+:\n$name cannot occur within <VirtualHost> section$/m,
            "$name in <VirtualHost>";
        like $try->("<Directory /tmp>\n$name $value\n</Directory>"),
            qr/^AH00526: Syntax error on line \d+ of \S+:\n$name not allowed in <Directory> context$/m,
            "$name in <Directory>";
        like $try->($name), qr/^$name takes one argument, \S.+$/m, "$name without argument";
        like $try->("$name 1 2"), qr/^$name takes one argument, \S.+$/m, "$name with two arguments";
    }
};

done_testing;
