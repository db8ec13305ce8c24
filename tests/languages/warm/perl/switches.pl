#!/usr/bin/perl -s
print "x is ", $x // "not set", ", y is ", $y // "not set", "\n";
print join("|", @ARGV), "\n";
