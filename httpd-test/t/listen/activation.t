# Started as systemd starts a unit: sockets handed over (LISTEN_FDS), and readiness told to a socket (mod_systemd).
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Test::More;
use MPMTest::Server qw(wait_until httpd_binary module_dir);
use MPMTest::Test within => 40, qw(conns);

my ($own, $handed) = map { MPMTest::Server->free_port } 1 .. 2;

sub slurp { my ($path) = @_; open my $fh, '<:raw', $path or return ''; local $/; return <$fh> // '' }

# A httpd that was built with systemd takes the sockets, through mod_systemd. Debian's was not.
my $static     = `@{[ httpd_binary() ]} -l` =~ /^\s*mod_systemd\.c$/m;
my $systemd    = $static || -e module_dir() . '/mod_systemd.so';
my $takes_over = $static || slurp(module_dir() . '/mod_systemd.so') =~ /sd_listen_fds/;

# A httpd whose parent has made a listening socket, as descriptor 3, for it.
sub server {
    my (@listen) = @_;
    my $s = MPMTest::Server->new(port => $own, listen => [ map {"127.0.0.1:$_"} @listen ],
        modules => [ ('systemd') x !!$systemd ],
        mpm => { StartServers => 2, ServerLimit => 4, ThreadsPerChild => 4, MaxRequestWorkers => 8 });
    $s->{binary} = $s->write_file('as-systemd', <<"EOT", 0755);
#!$^X
use IO::Socket::INET;
use POSIX ();
\$^F = 1000;    # nothing is closed on exec
my \$sock = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', LocalPort => $handed, ReuseAddr => 1) or die "listen: \$!";
POSIX::dup2(fileno \$sock, 3);
\$sock->close if fileno \$sock != 3;
\@ENV{qw(LISTEN_FDS LISTEN_PID LISTEN_FDNAMES)} = (1, \$\$, 'httpd.socket');
exec '@{[ httpd_binary() ]}', \@ARGV or die "exec: \$!";
EOT
    return $s;
}

subtest 'a Listen line for the socket that was handed over' => sub {
    my $s = server($handed, $takes_over ? () : $own);
    if (!$takes_over) {
        $s->start(answer => 0);
        is $s->wait_exit(10), 1, 'the server exits with 1: it binds for itself';
        like $s->console_text, qr/AH00072: make_sock: could not bind to address 127\.0\.0\.1:$handed$/m, 'AH00072';
        return;
    }
    $s->{port} = $handed;
    ok($s->start, 'started') or return;
    is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 20), 20, 'it is served';
    # No restart: httpd's own listener code forgets the sockets then, and ends with AH02487 (2.4.68).
    $s->ends_well;
};

subtest 'a socket that no Listen line is about' => sub {
    plan skip_all => 'this httpd takes the sockets that it is given' if $takes_over;
    my $s = server($own);
    ok($s->start, 'started') or return;
    my $is_there = sub { (readlink('/proc/' . $s->pid . '/fd/3') // '') =~ /^socket:/ };
    ok $is_there->(), 'it is inherited';
    for my $round ('before', 'after') {
        my ($c) = conns($s, 1, port => $handed);
        $c->request('/');
        is $c->response(0.5)->{error}, 'timeout', "$round a graceful restart: nobody serves it";
        is scalar(grep { $s->get('/')->{status} == 200 } 1 .. 20), 20, 'the server\'s own is served';
        ok $s->graceful(old_gone => 1), 'graceful restart' if $round eq 'before';
    }
    ok $is_there->(), 'and it is still there: another module may know it';
    $s->ends_well;
    ok !$s->open_conn(port => $handed, within => 1), 'with the server it is gone';
};

subtest 'readiness' => sub {
    plan skip_all => 'no mod_systemd' if !$systemd;
    my $s = MPMTest::Server->new(modules => ['systemd'], mpm => { StartServers => 2 });
    my $path = $s->dir . '/notify';
    my $notify = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "notify: $!";
    chmod 0777, $path;
    $s->{env} = { NOTIFY_SOCKET => $path };
    my $said = sub {
        my ($text, $data) = '';
        while (IO::Select->new($notify)->can_read(0.5)) { $notify->recv($data, 4096); $text .= "$data\n" }
        return $text;
    };
    ok($s->start, 'started') or return;
    my $first = $said->();
    like $first, qr/READY=1\nSTATUS=Processing requests\.\.\.\nMAINPID=@{[ $s->pid ]}$/m, 'READY=1, and the parent\'s pid';
    ok $s->graceful(old_gone => 1), 'graceful restart';
    my $again = $said->();
    like $again, qr/^RELOADING=1\n.*^READY=1\n/ms, 'RELOADING=1, then READY=1';
    unlike $again, qr/MAINPID/, 'the parent stays';
    $s->ends_well;
};

done_testing;
