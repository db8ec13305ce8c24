#!/usr/bin/env perl
use strict;
use warnings;
print scalar(@ARGV), ": @ARGV\n";
