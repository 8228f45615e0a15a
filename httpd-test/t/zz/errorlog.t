# The last file of a run: the shared server has lived through all of the others without harm.
use strict;
use warnings;
use Test::More;
use MPMTest::Test within => 30, qw(shared);

my $s   = shared();
my $log = $s->error_log;

is $s->get('/index.html', within => 5)->{status}, 200, 'it still serves';
is scalar(() = $log =~ /AH00489/g), 1, 'it was started once';
is_deeply [$log =~ /^(.*\bexit signal\b.*)$/mg], [], 'no child ended by a signal';
is_deeply [$log =~ /^(.*:(?:emerg|alert|crit)\] .*)$/mg], [], 'no message above error';
my @errors = $log =~ /^(.*\bmpm_\w+:error\] .*)$/mg;
is_deeply [grep { !/AH00484|AH10159|AH03490/ } @errors], [], 'no error of the MPM\'s but about its limits';
is scalar(() = $log =~ /panicked|rust_event: panic/g), 0, 'no panic';

done_testing;
