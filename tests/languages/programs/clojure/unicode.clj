(println "ÄÖÜ 漢字 🙂")
