say "ÄÖÜ 漢字 🙂";
say @*ARGS.raku, ' ', $*PROGRAM-NAME, ' ', $?FILE, ' ', $*CWD;
say %*ENV.sort(*.key).map({ "{.key}={.value}" }).join("\n");
say $*IN.slurp.lines.raku;
say dir('.').map(*.basename).sort;
note "to standard error";
my @threads = (1..4).map: { start { $_ ** 2 } };
say await @threads;
say run('ls', '/proc/self/fd', :out).out.lines.elems;
say (1, 2, 3).map(* + 1).sum, ' ', 2 ** 100, ' ', (1/3).nude;
END { say "at the end" }
