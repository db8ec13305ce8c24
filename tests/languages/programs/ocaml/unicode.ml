let () = Printf.printf "%s\n" "ÄÖÜ 漢字 🙂"
