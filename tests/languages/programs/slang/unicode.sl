() = fputs ("ÄÖÜ 漢字 🙂\n", stdout);
