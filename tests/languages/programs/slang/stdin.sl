variable line;
while (fgets (&line, stdin) > 0)
    () = fputs (line, stdout);
