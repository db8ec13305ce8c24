await Bun.write(Bun.stdout, await Bun.stdin.text());
