(write-line "ÄÖÜ 漢字 🙂")
