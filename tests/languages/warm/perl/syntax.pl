use strict;
print "a
