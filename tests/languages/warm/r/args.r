print(commandArgs())
print(commandArgs(trailingOnly = TRUE))
print(nchar(commandArgs(TRUE)))
