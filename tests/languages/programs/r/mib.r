x <- strrep("x", 63)
for (i in 1:16384) {
    cat(x, "\n", sep = "")
}
