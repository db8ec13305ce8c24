print "never closed;
