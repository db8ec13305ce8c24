(write-line "never closed"
