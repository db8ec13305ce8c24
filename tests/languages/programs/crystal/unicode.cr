text = "ÄÖÜ 漢字 🙂"
puts text.chars.join
