[indent=4]

init
    text: string = "ÄÖÜ 漢字 🙂"
    stdout.printf ("%s\n", text)
