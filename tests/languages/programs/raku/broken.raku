say "never closed;
