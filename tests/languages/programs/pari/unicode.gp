print("ÄÖÜ 漢字 🙂")
