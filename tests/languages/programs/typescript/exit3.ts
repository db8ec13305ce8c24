Deno.exit(3);
