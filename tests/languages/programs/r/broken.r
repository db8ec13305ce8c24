cat("never closed)
