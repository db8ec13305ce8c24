puts "ÄÖÜ 漢字 🙂"
