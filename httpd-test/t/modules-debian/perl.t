# mod_perl: interpreters are shared out to threads one at a time, keep their state, and come anew with each generation.

use strict;
use warnings;
use Test::More;
use MPMTest::Reloads qw(load_over_reloads needs no_crash);
use MPMTest::Server;
use MPMTest::Test within => 60, qw(beyond);

needs(perl => 'libapache2-mod-perl2');

my $s = MPMTest::Server->new(
    modules => ['perl'],
    mpm     => { ServerLimit => 4, ThreadsPerChild => 8, MaxRequestWorkers => 16, StartServers => 2,
        MinSpareThreads => 1, MaxSpareThreads => 100 },
    conf => <<'EOT');
KeepAlive On
MaxKeepAliveRequests 0
<Perl>
package Probe::Count;
use strict;
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Time::HiRes ();
our ($born, $requests, $inside) = ('', 0, 0);
sub CLONE { ($born, $requests, $inside) = (Time::HiRes::time(), 0, 0) }
sub handler {
    my $r = shift;
    $inside++;
    my $n = ++$requests;
    Time::HiRes::sleep(0.003);
    $r->content_type('text/plain');
    $r->print(join(' ', "interpreter $$:$born:" . \$born, "request $n", "inside $inside") . "\n");
    $inside--;
    return 0;
}
$INC{'Probe/Count.pm'} = __FILE__;
</Perl>
<Location "/perl">
    SetHandler modperl
    PerlResponseHandler Probe::Count
</Location>
EOT
ok($s->start, 'started') or do { diag $s->console_text; done_testing; exit };

# Each answer names its interpreter and how many requests that one has had.
sub ask {
    my ($per_conn, @conns) = @_;
    my (%seen, $answers, $inside);
    for (1 .. $per_conn) {
        $_->request('/perl') for @conns;
        for my $conn (@conns) {
            my $r = $conn->response(10);
            my ($name, $n, $in) = $r->{body} =~ /^interpreter (\S+) request (\d+) inside (\d+)$/ or next;
            $answers++;
            $inside = $in if $in > ($inside // 0);
            push @{ $seen{$name} }, $n;
        }
    }
    return { answers => $answers, inside => $inside, seen => \%seen };
}

{
    my $got = ask(10, map { $s->open_conn } 1 .. 16);
    is $got->{answers}, 160, beyond('more requests at once than a child has interpreters (PerlInterpMax 5): all answered');
    is $got->{inside}, 1, 'never two threads in one interpreter';
    my @lists = values %{ $got->{seen} };
    cmp_ok scalar(@lists), '>', 2, 'several interpreters had work';
    my @wrong = grep { my @n = sort { $a <=> $b } @$_; "@n" ne join ' ', 1 .. @n } @lists;
    is_deeply \@wrong, [], 'each counted all of its own requests, and nobody else\'s';
}

my $count = load_over_reloads($s, '/perl');
is $count->{$_}, 0, "$_: none" for qw(refused bad partial late died);
is $count->{lost}, 0, beyond('lost (sent, and answered by the end of the connection): none');

{
    my $got = ask(3, map { $s->open_conn } 1 .. 4);
    is $got->{answers}, 12, 'after the restarts';
    my %child = map { $_ => 1 } $s->children;
    is_deeply [ grep { !/^(\d+):/ || !$child{$1} } keys %{ $got->{seen} } ], [], 'the interpreters are the new children\'s';
}
$s->ends_well;
no_crash($s);

done_testing;
