# Connections are ended by workers, whatever the reason: the listener runs no filter, hook or cleanup of theirs.
# mod_ssl says in the log when it shuts a connection down, and the log says on which thread.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 60, qw(conns probe_server wait_until);
use MPMTest::Certificate ();

no warnings 'once';
plan skip_all => 'no IO::Socket::SSL' unless eval { require IO::Socket::SSL; 1 };
my $THREADS = 4;
my $port = MPMTest::Server->free_port;
my $s = eval { probe_server(modules => [qw(ssl log_debug)]) } or plan skip_all => 'no mod_ssl or no mod_log_debug';
mkdir $s->dir . '/tls';
MPMTest::Certificate::write_to($s->dir . '/tls') or die "no certificate\n";
$s->configure(
    loglevel => 'info ssl:debug',
    mpm => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => $THREADS, MaxRequestWorkers => $THREADS },
    conf => $s->{conf} . <<"EOT");
KeepAliveTimeout 1
Timeout 2
SSLSessionCache none
LogMessage "served" hook=log_transaction
Listen 127.0.0.1:$port
<VirtualHost 127.0.0.1:$port>
    SSLEngine on
    SSLCertificateFile    "@{[ $s->dir ]}/tls/cert.pem"
    SSLCertificateKeyFile "@{[ $s->dir ]}/tls/key.pem"
</VirtualHost>
EOT
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my ($child) = $s->children;

# On which threads something was logged since the mark: { number => how often }.
sub threads_of {
    my ($what) = @_;
    my %n;
    $n{$_}++ for map { /tid (\d+)\].*$what/ ? $1 : () } split /\n/, $s->log_new;
    return \%n;
}

my @c = conns($s, $THREADS);
$_->request('/probe/sleep?ms=2000', headers => { Connection => 'close' }) for @c;
$_->response(10) for @c;
my $workers;
ok wait_until(sub { $workers = threads_of('served'); keys %$workers == $THREADS }, 3),
    "$THREADS requests at a time, so many workers";
my @others = grep { $_ != $child && !$workers->{$_} } map {m{(\d+)$}} glob "/proc/$child/task/*";
is scalar @others, 1, 'the other thread is the listener';
$_->close for @c;

sub tls {
    my $sock = IO::Socket::SSL->new(PeerAddr => '127.0.0.1', PeerPort => $port, SSL_verify_mode => 0, Timeout => 10)
        or die "TLS: $IO::Socket::SSL::SSL_ERROR\n";
    return MPMTest::Conn->new(socket => $sock);
}

my %ends = (
    'KeepAliveTimeout'            => sub { $_[0]->request('/index.html'); $_[0]->response(5) },
    'Timeout of half a request'   => sub { $_[0]->send("GET /index.html HTTP/1.1\r\nHos") },
    'Timeout of a handshake only' => sub {1},
    'Connection: close'           => sub {
        $_[0]->request('/index.html', headers => { Connection => 'close' });
        $_[0]->response(5);
    },
    'the client, while idle'      => sub { $_[0]->request('/index.html'); $_[0]->response(5); $_[0]->close },
    'the client, by a reset'      => sub { $_[0]->request('/index.html'); $_[0]->response(5); $_[0]->reset },
);
my (%why, @tls);
for my $why (sort keys %ends) {
    for (1 .. 3) {
        push @tls, my $c = tls();
        $why{ $c->port } = $why;
        $ends{$why}->($c);
    }
}
my %by;    # reason => { thread => how often }
ok wait_until(sub {
    my %tid = reverse map { /tid (\d+)\].*\[client 127\.0\.0\.1:(\d+)\].*Connection closed to child/ ? ($1, $2) : () }
        split /\n/, $s->log_new;
    %by = ();
    $by{ $why{$_} }{ $tid{$_} }++ for grep { $why{$_} } keys %tid;
    return keys %tid == @tls;
}, 8), scalar(@tls) . ' TLS connections are shut down';
for my $why (sort keys %ends) {
    my ($workers_did, $others_did) = (0, 0);
    for my $tid (keys %{ $by{$why} }) { ($workers->{$tid} ? $workers_did : $others_did) += $by{$why}{$tid} }
    is "$workers_did, $others_did", '3, 0', "ended by $why: three of three by workers";
}
$s->stop;
undef $s;

done_testing;
