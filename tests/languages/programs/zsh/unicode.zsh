echo 'ÄÖÜ 漢字 🙂'
