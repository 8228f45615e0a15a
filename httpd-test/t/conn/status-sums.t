# mod_status over several children: within a second of each change its sums are the connections that there are.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(beyond probe_server conns narrow_conns data_file wait_until async_becomes async_conf);

my ($CHILDREN, $THREADS, $FACTOR) = (3, 8, 5);
my $IDLE = $THREADS + $FACTOR * $THREADS + 12;    # more than one child takes
my $waitio_port = MPMTest::Server->free_port;
my $s = probe_server(
    mpm => { StartServers => $CHILDREN, ServerLimit => $CHILDREN, ThreadsPerChild => $THREADS,
        MaxRequestWorkers => $CHILDREN * $THREADS, MaxSpareThreads => $CHILDREN * $THREADS, AsyncRequestWorkerFactor => $FACTOR },
    backend => 1,
    conf => async_conf($waitio_port),
);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
ok wait_until(sub { $s->children == $CHILDREN && $s->status->{IdleWorkers} == $CHILDREN * $THREADS - 1 }, 5), "$CHILDREN children";
data_file($s, 'sums.bin', 8 << 20);
my $WAITIO = exists $s->status->{ConnsAsyncWaitIO};

# column => how connections get there. The columns of %open are the connections that there are.
my %enter = (
    keepalive => sub { map { $_->request('/index.html'); $_->response(5); $_ } conns($s, $_[0]) },
    writing   => sub { map { $_->request('/sums.bin'); $_->_fill(time + 5); $_ } narrow_conns($s, $_[0]) },
    closing   => sub { map { $_->request('/limited/probe/digest', method => 'POST', headers => { 'Content-Length' => 100_000 });
        $_->response(5); $_ } conns($s, $_[0]) },
    busy      => sub { $s->holds($_[0]) },
    $WAITIO ? (waitio => sub { map { $_->send("hello\n"); $_->_fill(time + 5); $_ } conns($s, $_[0], port => $waitio_port) }) : (),
);
my %open = map { $_ => [] } keys %enter;

sub leave {
    my ($column, @gone) = @_;
    $s->release(@gone) if $column eq 'busy';
    $_->reset for map { $column eq 'busy' ? $_->{conn} : $_ } @gone;
    return;
}

# Opens (or, with a negative number, closes) connections, and asks mod_status until it shows that, for one second.
sub change {
    my ($name, %by) = @_;
    for my $column (sort keys %by) {
        next if !$enter{$column};
        if ($by{$column} > 0) { push @{ $open{$column} }, $enter{$column}->($by{$column}) }
        else                  { leave($column, splice @{ $open{$column} }, 0, -$by{$column}) }
    }
    # The request for the status is busy itself.
    my %want = map { $_ => scalar @{ $open{$_} } } keys %open;
    $want{total} += $_ for values %want;
    $want{busy}++;
    $want{idle} = $CHILDREN * $THREADS - $want{busy};
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    async_becomes($s, beyond($name), %want);
    return;
}

change('nothing');
change('idle ones, and some that do not read',          keepalive => $IDLE, writing => 12);
change('lingering close, and some that wait for I/O',   closing   => 9, waitio => 14);
change('some at work',                                  busy      => 6);
change('a part of each goes',   keepalive => -31, writing => -5, closing => -4, waitio => -7);
change('and more of each come', keepalive => 17,  writing => 3, closing => 6, waitio => 4);

my @rows;
my %sum;
my $ok = wait_until {
    @rows = $s->processes;
    %sum = ();
    for my $row (@rows) { $sum{$_} += $row->{$_} for qw(keep_alive writing closing wait_io busy) }
    $sum{keep_alive} == @{ $open{keepalive} } && $sum{writing} == @{ $open{writing} } && $sum{closing} == @{ $open{closing} }
        && $sum{wait_io} == @{ $open{waitio} // [] } && $sum{busy} == 1 + @{ $open{busy} };
} 3;
ok $ok, beyond('the rows of the children add up to the same') or diag explain \%sum;
cmp_ok scalar(grep { $_->{keep_alive} > 0 } @rows), '>', 1, beyond('and more than one has a part');

# Those at work end; idle ones work for a moment, and idle again.
change('those at work go', busy => -6);
$_->request('/probe/sleep?ms=10') for @{ $open{keepalive} };
is scalar(grep { $_->response(5)->{status} == 200 } @{ $open{keepalive} }), scalar @{ $open{keepalive} }, beyond('each idle one is served');
change('and idle again');
change('all go', map { $_ => -@{ $open{$_} } } keys %open);
$s->ends_well;
undef $s;

done_testing;
