MODULE Ending;

FROM libc IMPORT exit;

BEGIN
  exit (3)
END Ending.
