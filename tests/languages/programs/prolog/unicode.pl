:- initialization(main).

main :- writeln('ÄÖÜ 漢字 🙂').
