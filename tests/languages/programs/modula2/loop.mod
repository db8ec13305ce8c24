MODULE Forever;

VAR
  turns: CARDINAL;

BEGIN
  turns := 0;
  LOOP
    turns := 1 - turns
  END
END Forever.
