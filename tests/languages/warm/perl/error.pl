#!/usr/bin/perl -w
# SPDX-License-Identifier: Apache-2.0
use strict;
END { print "leaving $?\n" }
sub f { my $x; print "a" . $x . "\n"; die { a => 1 } if $_[0]; die "no good" }
eval { f(1) }; print ref $@, "\n";
f(0);
