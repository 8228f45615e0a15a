package MPMTest::Server;

# A private httpd in a temporary directory, for tests that start, reload, break and stop servers.
#
#   my $s = MPMTest::Server->new(mpm => { ThreadsPerChild => 4 }, conf => 'KeepAlive On');
#   $s->start or die $s->console_text;
#   is $s->get('/')->{status}, 200;
#   $s->graceful;                      # returns when a child of the new generation has answered
#   my $end = $s->stop;                # { exit, signal, seconds, leftover }
#
# The MPM under test: MPM_MODULE (path of the .so) and MPM_SYMBOL (name in LoadModule). The server runs as root
# (its children as www-data or nobody) and as an ordinary user. Nothing waits for a length of time: every wait is
# for a condition, with a deadline.

use strict;
use warnings;
use Config;
use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Spec;
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use POSIX qw(WNOHANG _exit);
use Test::Builder;
use Test::More import => [qw(is_deeply unlike)];
use Time::HiRes qw(sleep time);
use MPMTest::Backend;
use MPMTest::Conn;
use MPMTest::Load;

our @EXPORT_OK = qw(wait_until is_stock mpm_module mpm_symbol mpm_name module_dir httpd_binary);

my %APXS;
my $SERIAL = 0;

# Calls the block until it returns something true, for at most $seconds; returns that value, or the last false one.
# A machine that stalls takes time but no looks: there are several, also when the time is over after the first.
sub wait_until (&$;$) {
    my ($block, $seconds, $every) = @_;
    my $end = time + $seconds;
    for (my $looks = 1;; $looks++) {
        my $got = $block->();
        return $got if $got || time >= $end && $looks >= 5;
        sleep($every // 0.02);
    }
}

sub _apxs {
    my ($name) = @_;
    return $APXS{$name} //= do {
        my $bin = $ENV{APXS} || 'apxs';
        my $value = `$bin -q $name 2>/dev/null` // '';
        chomp $value;
        $value;
    };
}

sub httpd_binary {
    my $bin = $ENV{HTTPD} || File::Spec->catfile(_apxs('sbindir'), _apxs('progname'));
    return -x $bin && !-d _ ? $bin : '/usr/sbin/apache2';
}

sub module_dir { return _apxs('LIBEXECDIR') || '/usr/lib/apache2/modules' }

sub mpm_module {
    return $ENV{MPM_MODULE} if $ENV{MPM_MODULE};
    my $suite = dirname(dirname(dirname(File::Spec->rel2abs(__FILE__))));
    return "$suite/../target/release/mod_mpm_rust_event.so";
}

sub mpm_symbol { return $ENV{MPM_SYMBOL} || 'mpm_rust_event_module' }

# The name that LogLevel takes and that messages begin with.
sub mpm_name {
    my $name = ref $_[0] ? $_[0]{symbol} : mpm_symbol();
    $name =~ s/_module$//;
    return $name;
}

# Is httpd's own event MPM under test? For what is documented to differ; MPM_STOCK=0/1 overrides.
sub is_stock {
    return $ENV{MPM_STOCK} if defined $ENV{MPM_STOCK};
    return mpm_module() !~ /rust/ && mpm_symbol() !~ /rust/;
}

# mpm       directives of the MPM, a hash or a list of pairs (a list keeps its order)
# conf      text at the end of the configuration;  pre_conf  text before the listeners
# modules   further modules by short name ('cgid', 'ssl'); a missing one makes new() die
# loadline  replaces the MPM's LoadModule line;    symbol, module  replace its parts
# listen    addresses (default one free port on 127.0.0.1);  loglevel  (default "info <mpm>:debug")
# args, env further arguments and environment of httpd;      headless => 1  no default documents and handlers
# backend   1: requests below /hold/ go to a backend of the test's own (see hold)
sub new {
    my ($class, %o) = @_;
    my $dir = File::Temp->newdir('mpmtest-XXXXXX', DIR => $ENV{MPMTEST_TMP} || File::Spec->tmpdir,
        CLEANUP => !$ENV{MPMTEST_KEEP});
    my $self = bless {
        binary => httpd_binary(), module => mpm_module(), symbol => mpm_symbol(), mpm => {}, conf => '',
        pre_conf => '', modules => [], args => [], env => {}, %o,
        tmp => $dir, dir => "$dir", owner => $$, mark => 0, serial => ++$SERIAL,
        id => join('-', 'mpmtest', $$, time, $SERIAL),
    }, $class;
    $self->{failures} = _failures();
    $self->{backend} = MPMTest::Backend->new if $self->{backend};
    chmod 0755, $self->{dir};
    make_path(map {"$self->{dir}/$_"} qw(logs run htdocs));
    chmod 0755, map {"$self->{dir}/$_"} qw(logs run htdocs);
    $self->{auto_port} = !$o{port};
    $self->{port} //= $self->free_port;
    $self->write_file('htdocs/index.html', "It works\n");
    $self->write_file('logs/error_log',    '');
    $self->write_conf;
    return $self;
}

my %given;

# A port below the range that outgoing connections use, so that load cannot take it; each time another one.
sub free_port {
    for (1 .. 200) {
        my $port = 10_000 + int rand 20_000;
        next if $given{$port}++;
        my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1);
        return $port if $s && close $s;
    }
    die "no free port\n";
}

sub write_file {
    my ($self, $name, $text, $mode) = @_;
    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
    open my $fh, '>', $path or die "$path: $!";
    print {$fh} $text;
    close $fh or die "$path: $!";
    chmod $mode // 0644, $path;
    return $path;
}

sub _has_module {
    my ($self, $name) = @_;
    my $static = $APXS{'-l'} //= `$self->{binary} -l 2>/dev/null`;
    return $static =~ /^\s*mod_\Q$name\E\.c$/m ? 'static' : -e module_dir() . "/mod_$name.so" ? 'dso' : '';
}

# Can the module be loaded on this server? For skipping a test.
sub has_module { my ($self, $name) = @_; return !!($self->_has_module($name)) }

sub _load_lines {
    my ($self) = @_;
    my $text = $self->{loadline} // qq{LoadModule $self->{symbol} "$self->{module}"};
    $text .= "\n";
    my %seen;
    my @base = (qw(unixd log_config authz_core mime dir alias status), $self->{backend} ? qw(proxy proxy_http) : ());
    for my $name (grep { !$seen{$_}++ } @base, @{ $self->{modules} }) {
        my $how = $self->_has_module($name) or die "mod_$name is not installed\n";
        $text .= qq{LoadModule ${name}_module "} . module_dir() . qq{/mod_$name.so"\n} if $how eq 'dso';
    }
    return $text;
}

sub _user_lines {
    my ($self) = @_;
    return '' if $> != 0 || $self->{no_user};
    my ($user) = grep { getpwnam $_ } qw(www-data apache nobody daemon);
    my $group = getgrgid((getpwnam $user)[3]);
    return "User $user\nGroup $group\n";
}

sub _mpm_lines {
    my ($self) = @_;
    my $mpm = $self->{mpm};
    my @pairs = ref $mpm eq 'HASH' ? map { $_ => $mpm->{$_} } sort _limits_first keys %$mpm : @$mpm;
    my $text = '';
    while (my ($name, $value) = splice @pairs, 0, 2) {
        $text .= "$name $value\n" if defined $value;
    }
    return $text;
}

# ServerLimit and ThreadLimit stand before what they limit, as in any sensible configuration.
sub _limits_first {
    return ($b =~ /^(?:Server|Thread)Limit$/i) <=> ($a =~ /^(?:Server|Thread)Limit$/i) || $a cmp $b;
}

sub conf_text {
    my ($self) = @_;
    return $self->{conf_text} if defined $self->{conf_text};
    my $dir = $self->{dir};
    my $level = $self->{loglevel} // $ENV{MPMTEST_LOGLEVEL} // 'info ' . ($self->{loadline} ? '' : $self->mpm_name . ':debug');
    my @listen = @{ $self->{listen} || ["127.0.0.1:$self->{port}"] };
    my $text = $self->_load_lines . <<"EOT" . $self->_user_lines . $self->{pre_conf} . "\n";
ServerRoot "$dir"
DefaultRuntimeDir "$dir/run"
ServerName localhost
PidFile "$dir/httpd.pid"
ErrorLog "$dir/logs/error_log"
LogLevel $level
EOT
    $text .= join '', map {"Listen $_\n"} @listen;
    $text .= $self->_mpm_lines;
    $text .= <<"EOT" unless $self->{headless};
LogFormat "%P %s %X \\"%r\\"" mpmtest
CustomLog "$dir/logs/access_log" mpmtest
TypesConfig /dev/null
DocumentRoot "$dir/htdocs"
<Directory "$dir">
    AllowOverride None
    Require all granted
</Directory>
DirectoryIndex index.html
ExtendedStatus On
<Location "/server-status">
    SetHandler server-status
    Require all granted
</Location>
EOT
    $text .= $self->{backend}->conf if $self->{backend};
    return $text . $self->{conf} . "\n";
}

sub write_conf { my ($self) = @_; return $self->write_file('httpd.conf', $self->conf_text) }

# Changes parts of the configuration for the next start or reload; mpm => {...} is merged, undef removes a directive.
sub configure {
    my ($self, %o) = @_;
    my $mpm = delete $o{mpm};
    $self->{mpm} = ref $self->{mpm} eq 'HASH' && ref $mpm eq 'HASH' ? { %{ $self->{mpm} }, %$mpm } : $mpm if $mpm;
    @$self{ keys %o } = values %o;
    return $self->write_conf;
}

# ---- paths and small facts

sub dir       { return $_[0]{dir} }
sub port      { return $_[0]{port} }
sub url       { return "http://127.0.0.1:$_[0]{port}" . ($_[1] // '/') }
sub pid_file  { return "$_[0]{dir}/httpd.pid" }
sub htdocs    { return "$_[0]{dir}/htdocs" }
sub conf_file { return "$_[0]{dir}/httpd.conf" }

sub slurp {
    my ($self, $path) = @_;
    open my $fh, '<', $path =~ m{^/} ? $path : "$self->{dir}/$path" or return undef;
    local $/;
    return <$fh> // '';
}

# ---- starting

sub _command { my ($self, @args) = @_; return ($self->{binary}, '-d', $self->{dir}, '-f', $self->conf_file, @args) }

sub _spawn {
    my ($self, $out, @command) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE USR1 USR2 CHLD ALRM WINCH);
    _end_with_parent();
    open STDIN,  '<',  '/dev/null';
    open STDOUT, '>>', $out or _exit(126);
    open STDERR, '>&', \*STDOUT or _exit(126);
    delete @ENV{qw(LANG LC_ALL)};
    %ENV = (%ENV, MPMTEST_ID => $self->{id}, %{ $self->{env} });
    { no warnings 'exec'; exec { $command[0] } @command; }
    _exit(127);
}

# A server in the foreground ends when its test is killed (prctl(PR_SET_PDEATHSIG, SIGTERM)); DESTROY does the rest.
sub _end_with_parent {
    my ($number) = map { $Config{archname} =~ /^$_->[0]/ ? $_->[1] : () } ['x86_64', 157], ['aarch64', 167];
    eval { syscall $number, 1, 15 } if $number && $^O eq 'linux';
    return;
}

# Starts httpd in the foreground as a child of this process and waits until it answers.
# Returns the pid; undef when it ended (see exit_status) or did not answer in time (it is left running then).
# Options: answer => 0 (do not wait), within => seconds, args => [...] (instead of -DFOREGROUND).
sub start {
    my ($self, %o) = @_;
    for my $try (1 .. 5) {
        delete @$self{qw(exit detached)};
        $self->write_file('console', '');
        my $from = $self->_log_size;
        my @args = @{ $o{args} || ['-DFOREGROUND'] };
        $self->{pid} = $self->_spawn("$self->{dir}/console", $self->_command(@args, @{ $self->{args} }));
        return $self->{pid} if exists $o{answer} && !$o{answer};
        my $ok = wait_until { $self->_reap ? 'ended' : $self->answers } $o{within} // 20;
        if ($ok && $ok ne 'ended') {
            $self->_configured($from) unless grep {/^(?:-X|-D ?DEBUG|-D ?ONE_PROCESS)$/} @args, @{ $self->{args} };
            return $self->{pid};
        }
        return undef unless $ok && $self->{auto_port} && $self->console_text =~ /AH00072/ && !$self->{listen};
        $self->{port} = $self->free_port;    # another program took the port between the trial and the start
        $self->write_conf;
    }
    return undef;
}

# "httpd -k start": the server leaves this process's care, its pid comes from the pid file.
sub start_detached {
    my ($self, %o) = @_;
    delete @$self{qw(exit pid)};
    my $from = $self->_log_size;
    my $run = $self->console('-k', 'start', @{ $self->{args} });
    $self->{console_start} = $run;
    return undef if $run->{exit} != 0;
    $self->{detached} = 1;
    $self->{pid} = wait_until { my $p = $self->slurp('httpd.pid'); $p && $p =~ /^(\d+)\n/ && $1 } $o{within} // 10;
    wait_until { $self->answers } $o{within} // 20;
    $self->_configured($from);
    return $self->{pid};
}

# The first child may answer before the parent has started the others and said so, and before these have their threads.
sub _configured {
    my ($self, $from) = @_;
    wait_until { $self->_reap || $self->_log_from($from) =~ /AH00094/ } 5;
    my @pids = map { $_->{pid} } grep { $_->{event} eq 'started' } $self->child_events($self->_log_from($from));
    my $starts = sub { my $stat = _stat($_[0]); return $stat && $stat->{state} !~ /[ZX]/ && $stat->{threads} < 2 };
    return wait_until { $self->_reap || !grep { $starts->($_) } @pids } 5;
}

sub answers { my ($self) = @_; return $self->get('/', within => 2)->{status} ? 1 : 0 }

# Runs httpd with this configuration to its end: { exit, signal, out }.
sub console {
    my ($self, @args) = @_;
    my $out = "$self->{dir}/console." . ++$self->{runs};
    my $pid = $self->_spawn($out, $self->_command(@args));
    my $done = wait_until { waitpid($pid, WNOHANG) == $pid } 30;
    my $status = $?;
    if (!$done) { kill KILL => $pid; waitpid $pid, 0; $status = $? }
    return { exit => $status >> 8, signal => $status & 127, timeout => !$done, out => $self->slurp($out) };
}

# What the foreground server wrote on its console.
sub console_text { my ($self) = @_; return $self->slurp('console') // '' }

sub pid { return $_[0]{pid} }

# ---- signals and ends

sub signal { my ($self, $name) = @_; return $self->{pid} ? kill $name => $self->{pid} : 0 }

sub _reap {
    my ($self) = @_;
    return 1 if defined $self->{exit};
    return 1 unless $self->{pid};
    if ($self->{detached}) {
        return 0 if -e "/proc/$self->{pid}" && _is_mine($self->{pid}, $self->{id});
        $self->{exit} = 0;
        return 1;
    }
    my $got = waitpid $self->{pid}, WNOHANG;
    return 0 if $got == 0;
    $self->{exit} = $got == $self->{pid} ? $? : -1;
    return 1;
}

sub running { my ($self) = @_; return $self->{pid} && !$self->_reap ? 1 : 0 }

# Waits for the parent's end; returns its exit code (128 + number for a signal), undef when it still runs.
sub wait_exit {
    my ($self, $seconds) = @_;
    return undef unless wait_until { $self->_reap } $seconds, 0.01;
    return $self->exit_status;
}

sub exit_status {
    my ($self) = @_;
    return undef unless defined $self->{exit};
    return $self->{exit} & 127 ? 128 + ($self->{exit} & 127) : $self->{exit} >> 8;
}

# Stops the server (SIGTERM, or signal => name; again => 1: once a second, as one may get lost during a restart) and
# reports how that went:
# { exit, killed (SIGKILL was needed), seconds, leftover (pids that outlived the parent; killed) }.
sub stop {
    my ($self, %o) = @_;
    my $begin = time;
    my $killed = 0;
    $self->signal($o{signal} // 'TERM') if $self->running;
    while ($o{again} && time < $begin + ($o{within} // 20) && !defined $self->wait_exit(1)) {
        $self->signal($o{signal} // 'TERM');
    }
    if ($self->{pid} && !defined $self->wait_exit($o{within} // 20)) {
        $killed = kill KILL => $self->{pid};
        $self->wait_exit(5);
    }
    my $seconds = time - $begin;
    wait_until { !$self->members } $killed ? 0 : $o{grace} // 3;    # programs that it logs to end with their input
    my @left = $self->members;
    kill KILL => $_ for @left;
    wait_until { !$self->members } 5;
    return { exit => $self->exit_status, killed => $killed, seconds => $seconds, leftover => \@left };
}

sub _is_mine {
    my ($pid, $id) = @_;
    open my $fh, '<', "/proc/$pid/environ" or return 0;
    local $/;
    return index(<$fh> // '', "MPMTEST_ID=$id\0") >= 0;
}

# Every live process of this server, whoever its parent is now: found by the mark in its environment.
sub members {
    my ($self) = @_;
    opendir my $dh, '/proc' or return;
    my @found = grep { $_ != $$ && _is_mine($_, $self->{id}) } grep {/^\d+$/} readdir $dh;
    return @found;
}

sub _log_size { my ($self) = @_; return -s "$self->{dir}/logs/error_log" || 0 }

# A graceful restart; returns when a child of the new generation has answered a request.
# Options: signal => 'HUP', old_gone => 1 (also wait for the end of the old children), serve => 0, within => seconds.
sub graceful {
    my ($self, %o) = @_;
    my $end = time + ($o{within} // 20);
    my %old = map { $_ => 1 } $self->children;
    my $from = $self->_log_size;
    $self->signal($o{signal} // 'USR1') or return 0;
    wait_until { $self->_reap || $self->_log_from($from) =~ /AH00489/ } $end - time;
    return 0 if !$self->running;
    return 0 unless wait_until { grep { !$old{$_} } $self->children } $end - time;
    if ($o{serve} // 1) {
        return 0 unless wait_until { $self->_new_child_serves(\%old) } $end - time;
    }
    return 1 unless $o{old_gone};
    return wait_until { !grep { $old{$_} } $self->children } $end - time;
}

# A child that came up between the look at the old ones and the signal is of the old generation as well.
sub _new_child_serves {
    my ($self, $old) = @_;
    my $pid = $self->served_by;
    return 0 if !$pid || $old->{$pid};
    return 1 if $self->{headless};
    return !!grep { $_->{pid} == $pid && !$_->{old_gen} } $self->processes;
}

sub hard_restart { my ($self, %o) = @_; return $self->graceful(signal => 'HUP', %o) }

# The pid of the child that answers one new connection (from the access log).
sub served_by {
    my ($self) = @_;
    my $mark = join '-', 'served', $$, ++$self->{marks};
    my $from = -s "$self->{dir}/logs/access_log" || 0;
    $self->get("/?$mark", within => 3)->{status} or return undef;
    return wait_until { $self->_log_from($from, 'access_log') =~ /^(\d+) .*\?\Q$mark\E /m ? $1 : 0 } 3;
}

# ---- logs

sub error_log { my ($self) = @_; return $self->slurp('logs/error_log') // '' }

sub access_log { my ($self) = @_; return $self->slurp('logs/access_log') // '' }

sub _log_from {
    my ($self, $from, $name) = @_;
    open my $fh, '<', "$self->{dir}/logs/" . ($name // 'error_log') or return '';
    seek $fh, $from, 0;
    local $/;
    return <$fh> // '';
}

# What was logged since clear_log_mark, or since the start.
sub log_new        { my ($self) = @_; return $self->_log_from($self->{mark}) }
sub clear_log_mark { my ($self) = @_; return $self->{mark} = $self->_log_size }

# Waits until the log since the mark has it; returns the matched text (or undef).
sub log_like {
    my ($self, $qr, $seconds) = @_;
    return wait_until { $self->log_new =~ /($qr)/ ? $1 : undef } $seconds // 5;
}

sub log_count { my ($self, $qr) = @_; my @hits = $self->log_new =~ /$qr/g; return scalar @hits }

# The parent's bookkeeping as it logs it at level debug, in order:
# ({ event => started|quiescing|stopped, slot, pid, gen, active, active_limit, total, used, server_limit }, ...).
sub child_events {
    my ($self, $log) = @_;
    my @names = qw(slot event pid gen active active_limit total used server_limit);
    my @events;
    $log //= $self->error_log;
    while ($log =~ m{Child (\d+) (started|quiescing|stopped): pid (\d+), gen (\d+), active (-?\d+)/(\d+), total (-?\d+)/(\d+)/(\d+)}g) {
        my %e;
        @e{@names} = ($1, $2, $3, $4, $5, $6, $7, $8, $9);
        push @events, \%e;
    }
    return @events;
}

# What is wrong with that bookkeeping, in words; an empty list when it adds up. Options: stopped => 1 (the server has
# been stopped: every child that was started must have been noted as stopped).
sub child_events_faults {
    my ($self, %o) = @_;
    my (%live, %quiescing, @faults);
    for my $e ($self->child_events) {
        my $what = "$e->{event} $e->{pid} (active $e->{active}/$e->{active_limit}, total $e->{total})";
        if ($e->{event} eq 'started') {
            push @faults, "$what: the slot $e->{slot} is taken" if grep { $_ == $e->{slot} } values %live;
            $live{ $e->{pid} } = $e->{slot};
        }
        elsif (!exists $live{ $e->{pid} }) { push @faults, "$what: was not running" }
        elsif ($e->{event} eq 'quiescing') { $quiescing{ $e->{pid} } = 1 }
        else { delete @$_{ $e->{pid} } for \%live, \%quiescing }
        my $active = keys(%live) - keys %quiescing;
        push @faults, "$what: there are " . keys(%live) if $e->{total} != keys %live;
        push @faults, "$what: there are $active" if $e->{active} != $active;
        push @faults, "$what: beyond the limits"
            if $e->{event} eq 'started' && $e->{total} > $e->{server_limit};
    }
    push @faults, map {"never stopped: $_"} sort keys %live if $o{stopped};
    return @faults;
}

# ---- requests

sub open_conn {
    my ($self, %o) = @_;
    return MPMTest::Conn->new(host => '127.0.0.1', port => $self->{port}, %o);
}

# One request on its own connection: { status, reason, headers, body, error }; status is 0 without an answer.
# Options: within, method, headers => {...}, body, version, host, port.
sub get {
    my ($self, $path, %o) = @_;
    my $within = delete $o{within} // 10;
    my $conn = $self->open_conn(within => $within, map { $_ => $o{$_} } grep { exists $o{$_} } qw(host port))
        or return { status => 0, headers => {}, body => '', error => "connect: $!" };
    $conn->request($path, %o, headers => { Connection => 'close', %{ $o{headers} || {} } });
    return $conn->response($within, method => $o{method});
}

# Makes a worker busy until release(): returns { conn, held } once it is, undef if none takes the request in time.
# Options: within, headers => {...}.
sub hold {
    my ($self, %o) = @_;
    my $conn = $self->open_conn or return undef;
    $conn->request('/hold/', headers => $o{headers});
    my $held = $self->{backend}->take($o{within} // 10);
    return $held && { conn => $conn, held => $held };
}

# Up to that many of them; fewer when one does not get its worker.
sub holds {
    my ($self, $n, %o) = @_;
    my @holds;
    while (@holds < $n) { push @holds, $self->hold(%o) || last }
    return @holds;
}

# Lets the workers answer; returns the responses (in scalar context how many of them are whole).
sub release {
    my ($self, @holds) = @_;
    $self->{backend}->answer($_->{held}, $_->{body}) for @holds;
    my @r = map { $_->{conn}->response(10) } @holds;
    return wantarray ? @r : scalar grep { $_->{status} == 200 && $_->{complete} } @r;
}

# server-status?auto as a hash; {} when it does not answer.
sub status {
    my ($self, %o) = @_;
    my $r = $self->get('/server-status?auto', within => 5, %o);
    return {} unless $r->{status} == 200;
    return { map { /^([^:]+): ?(.*)$/ ? ($1 => $2) : () } split /\n/, $r->{body} };
}

# The table of processes in the HTML page of mod_status:
# ({ slot, pid, stopping, old_gen, connections, accepting, busy, graceful, idle, ... }, ...).
sub processes {
    my ($self, %o) = @_;
    my $body = $self->get('/server-status', within => 5, %o)->{body};
    my @names = qw(slot pid stopping connections accepting busy graceful idle wait_io writing keep_alive closing);
    my @rows;
    while ($body =~ m{<tr><td>(\d+)</td>((?:<td>[^<]*</td>)+)</tr>}g) {
        my ($slot, $rest) = ($1, $2);
        my @cells = ($slot, $rest =~ m{<td>([^<]*)</td>}g);
        splice @cells, 6, 0, 0 if @cells == 10;    # older servers don't count graceful threads,
        splice @cells, 8, 0, 0 if @cells == 11;    # and those before 2.4.63 have no wait-io column
        next unless @cells == 12;
        my %row;
        @row{@names} = @cells;
        $row{old_gen} = $row{stopping} =~ /old gen/ ? 1 : 0;
        push @rows, \%row;
    }
    return @rows;
}

# ---- the usual end of a subtest, as assertions; crashed => 1: some child was meant to crash

sub ends_well {
    my ($self, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $end = $self->stop;
    is_deeply [ @$end{qw(exit killed leftover)} ], [ 0, 0, [] ], 'ends with 0, by itself, with no child left';
    is_deeply [ $self->child_events_faults(stopped => 1) ], [], 'the counts of children add up';
    unlike $self->error_log, qr/exit signal/, 'nobody crashed' unless $o{crashed};
    return;
}

# ---- processes

# The children of a process; by default the MPM's own (the CGI daemon and piped logs are left out: they are no
# copies of the server with its threads).
sub children {
    my ($self, %o) = @_;
    my $parent = $o{of} // $self->{pid} // return;
    my @found;
    opendir my $dh, '/proc' or return;
    for my $pid (grep {/^\d+$/} readdir $dh) {
        my $stat = _stat($pid) or next;
        next if $stat->{ppid} != $parent || $stat->{state} =~ /[ZX]/;
        push @found, $pid if $o{all} || $self->_is_worker($pid);
    }
    @found = sort { $a <=> $b } @found;
    return @found;
}

sub _is_worker {
    my ($self, $pid) = @_;
    return (_stat($pid) || { threads => 0 })->{threads} > 1;
}

sub _stat {
    my ($pid) = @_;
    open my $fh, '<', "/proc/$pid/stat" or return undef;
    my $line = <$fh> // return undef;
    my ($comm, $rest) = $line =~ /^\d+ \((.*)\) (.*)$/s or return undef;
    my @f = split ' ', $rest;
    return { state => $f[0], ppid => $f[1], threads => $f[17], utime => $f[11], stime => $f[12] };
}

# Waits until no thread of the children runs or is about to: a worker that has answered is idle by then.
sub at_rest {
    my ($self, $seconds) = @_;
    return wait_until { !grep {/\) [RD] /} map { $self->slurp($_) // '' } map { glob "/proc/$_/task/*/stat" } $self->children }
        $seconds // 5, 0.005;
}

# Whether the parent sleeps: then no signal is pending for it either, as that would have it runnable.
sub parent_sleeps { my ($self) = @_; return (_stat($self->pid) || { state => '' })->{state} eq 'S' }

sub fds {
    my ($self, $pid) = @_;
    opendir my $dh, '/proc/' . ($pid // $self->{pid}) . '/fd' or return undef;
    return scalar grep {/^\d+$/} readdir $dh;
}

sub _proc_kb {
    my ($file, $key) = @_;
    open my $fh, '<', $file or return undef;
    for (<$fh>) { return $1 if /^$key:\s+(\d+) kB/ }
    return undef;
}

sub rss { my ($self, $pid) = @_; return _proc_kb('/proc/' . ($pid // $self->{pid}) . '/status', 'VmRSS') }

sub pss { my ($self, $pid) = @_; return _proc_kb('/proc/' . ($pid // $self->{pid}) . '/smaps_rollup', 'Pss') }

sub uid {
    my ($self, $pid) = @_;
    my $status = $self->slurp("/proc/$pid/status") // '';
    return $status =~ /^Uid:\s+(\d+)/m ? $1 : undef;
}

# Clock ticks (hundredths of a second) that a process has used so far.
sub ticks {
    my ($self, $pid) = @_;
    my ($rest) = ($self->slurp("/proc/$pid/stat") // '') =~ /\) (.*)/ or return 0;
    my @f = split ' ', $rest;
    return $f[11] + $f[12];
}

sub diag_log {
    my ($self, $lines) = @_;
    my @log = split /\n/, $self->error_log;
    splice @log, 0, @log - ($lines // 40) if @log > ($lines // 40);
    Test::Builder->new->diag(join "\n", "---- console of server $self->{serial}", $self->console_text,
        '---- end of its error log', @log);
    return;
}

# How many tests of the running (sub)test have failed.
sub _failures { return scalar grep { !$_ } Test::Builder->new->summary }

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    $self->diag_log if _failures() > $self->{failures} && !$ENV{MPMTEST_QUIET};
    $self->stop(within => 10, grace => 0) if $self->{pid} || $self->{runs};
    return;
}

1;
