print "never closed
