BEGIN { print "ÄÖÜ 漢字 🙂" }
