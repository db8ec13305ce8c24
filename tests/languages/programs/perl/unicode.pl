print "ÄÖÜ 漢字 🙂\n";
