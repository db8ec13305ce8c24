(display "ÄÖÜ 漢字 🙂\n")
