# $< cannot tell an empty line from the end.
cat
