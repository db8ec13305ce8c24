print(commandArgs()); print(getwd()); print(search()); print(ls(all.names=TRUE)); print(interactive()); print(sys.calls())
print(loadedNamespaces()); e <- Sys.getenv(); print(e[!grepl("^(COLUMNS|LINES|R_SESSION_TMPDIR)", names(e))]); print(exists(".Random.seed")); print(options("defaultPackages")); set.seed(1); print(rnorm(2))
cat("ÄÖÜ 漢字 🙂\n"); print(system("ls /proc/self/fd | wc -l", intern=TRUE)); x <- readLines(file("stdin")); print(x)
f <- function(x) stop("no good"); reg.finalizer(globalenv(), function(e) cat("leaving\n"), onexit=TRUE); warning("w"); f(1)
