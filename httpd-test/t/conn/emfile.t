# No more file descriptors: the connections that exist go on, new ones wait until there is room.
# An answer may be 403 for want of a descriptor: what counts is that there is one.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use MPMTest::Test within => 60, qw(beyond conns probe_server wait_until);
use MPMTest::Server qw(httpd_binary);

my $FILES = 80;
my $s = probe_server(
    mpm  => { StartServers => 1, ServerLimit => 1, ThreadsPerChild => 8, MaxRequestWorkers => 8,
        AsyncRequestWorkerFactor => 100 },
    conf => "KeepAliveTimeout 60\nTimeout 60\n",
);
my $start = qq{#!/bin/sh\nulimit -n $FILES\nexec "} . httpd_binary() . qq{" "\$@"\n};
$s->{binary} = $s->write_file('httpd.sh', $start, 0755);
$s->start or BAIL_OUT('the server does not start: ' . $s->console_text);
my @children = $s->children;

sub served { return scalar grep { $_->request('/probe/bytes?n=10&length=1'); $_->response(3)->{status} } @_ }

my @old = conns($s, 20);
is served(@old), 20, '20 connections';

my @flood = conns($s, 2 * $FILES);
$_->request('/probe/bytes?n=10&length=1') for @flood;
my $answered = sub { return scalar grep { $_->_fill(time); length $_->buffered } @flood };
ok wait_until(sub { $answered->() > $FILES / 4 }, 3), "some of @{[scalar @flood]} more are taken";
wait_until { 0 } 1;
cmp_ok $answered->(), '<', $FILES, 'there is no room for all';

is served(@old), 20, beyond('the first 20 are still served');
is_deeply [$s->children], \@children, beyond('by the same child');
$_->close for splice @flood, 0, @flood - 30;
ok wait_until(sub { @flood == $answered->() }, 5), beyond('when some have gone, those that waited are served');
$_->close for @flood;
is $s->get('/probe/bytes?n=10&length=1', within => 5)->{status}, 200, beyond('and so are new ones');
my @lines = grep { !/AH00484|AH10159/ } $s->error_log =~ /^(.*\bmpm_\w+:error\] .*)$/mg;
cmp_ok scalar @lines, '<=', 5, 'the MPM says it, but not over and over: ' . @lines;
undef $s;

done_testing;
