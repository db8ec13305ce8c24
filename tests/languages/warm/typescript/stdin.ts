const d = await new Response(Deno.stdin.readable).arrayBuffer(); console.log(d.byteLength, "ÄÖÜ 漢字 🙂");
enum Color { Red, Green } interface X { a: number } const x: X = { a: Color.Green }; console.log(x);
Deno.exit(3);
