# mod_lua: a handler's state lives as long as its LuaScope says, and on each worker thread its own; over restarts.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 90, qw(conns shared);
use MPMTest::Restarts qw(over_restarts round);

plan skip_all => 'no mod_lua' unless shared()->has_module('lua');

my @SCOPES = qw(once request conn thread server busy);    # busy: as thread, for the load
my $s = MPMTest::Server->new(
    modules => ['lua'],
    mpm => { StartServers => 2, ServerLimit => 6, ThreadsPerChild => 8, MaxRequestWorkers => 16, MinSpareThreads => 16 },
);
# Answers with: its thread, where its state lies, and how often that state has been used.
$s->write_file('state.lua', <<'LUA');
state, count = state or {}, count or 0
function handle(r)
    count = count + 1
    local stat = io.open("/proc/thread-self/stat")
    local tid = stat:read("n")
    stat:close()
    r.content_type = "text/plain"
    r:puts(tid, " ", tostring(state):match("0x%x+"), " ", count)
    return apache2.OK
end
LUA
# With fewer states than threads the server scope can deadlock inside mod_lua, whatever the MPM.
my %scope = (server => 'server 1 8', busy => 'thread');
$s->configure(conf => join '', "MaxKeepAliveRequests 0\n", map {
    my $file = $s->dir . "/$_.lua";
    symlink 'state.lua', $file;
    qq{LuaMapHandler "^/$_\$" "$file" handle\n<Location "/$_">\nLuaScope @{[ $scope{$_} // $_ ]}\n</Location>\n};
} @SCOPES);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);

# What 6 connections with 30 requests each got from a scope: ([connection, thread, state, count], ...) as they came.
sub answers {
    my ($scope) = @_;
    my @c = conns($s, 6);
    my @all;
    for (1 .. 30) {
        my @bodies = round("/$scope", @c);
        push @all, map { [ $_, split ' ', $bodies[$_] ] } 0 .. $#c;
    }
    $_->close for @c;
    return @all;
}

# The connections or threads (a field's number) whose answers do not have the counts 1, 2, 3 ...; answers of one round
# may have been given in another order.
sub miscounted {
    my ($field, @all) = @_;
    my %counts;
    push @{ $counts{ $_->[$field] // '' } }, $_->[3] // 0 for @all;
    return grep { my @n = sort { $a <=> $b } @{ $counts{$_} }; "@n" ne join ' ', 1 .. @n } keys %counts;
}

sub check {
    my ($when) = @_;
    is scalar(grep { ($_->[3] // 0) != 1 } answers($_)), 0, "$_: always a new state, $when" for qw(once request);
    is scalar(miscounted(0, answers('conn'))), 0, "conn: each connection counts its own requests, $when";

    my @all = answers('thread');    # the first that these children get
    my (%states, %threads);
    for (@all) { $states{ $_->[1] }{ $_->[2] }++; $threads{ $_->[1] }++ }
    is scalar(miscounted(1, @all)), 0, "thread: each thread counts the requests that it served, $when";
    is scalar(grep { keys %$_ != 1 } values %states), 0, "thread: in one state, $when";
    cmp_ok scalar(keys %threads), '>', 1, "thread: there are several (@{[ scalar keys %threads ]}), $when";

    # Two processes may have a state at the same address, but no state gives the same count twice in one process.
    my %seen;
    @all = answers('server');
    my %pid_of = map { my ($tid) = $_ =~ m{/(\d+)$}; my ($pid) = $_ =~ m{^/proc/(\d+)}; $tid => $pid }
        map { glob "/proc/$_/task/*" } $s->children;
    $seen{ join ' ', $pid_of{ $_->[1] } // 'gone', @$_[ 2, 3 ] }++ for @all;
    is scalar(keys %seen), scalar(@all), "server: one request at a time uses a state, $when";
    return;
}

over_restarts($s, check => \&check, old_gone => 1,
    clients => [ map { { keepalive => 1, path => "/$_", think => 0.02 }, { keepalive => 0, path => "/$_", think => 0.05 } } qw(once conn busy) ]);
$s->ends_well;

undef $s;

done_testing;
