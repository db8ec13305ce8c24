IO.puts("ÄÖÜ 漢字 🙂")
