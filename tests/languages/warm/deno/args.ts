import process from "node:process";
console.log(Deno.args, process.argv, process.argv.length);
console.log(Object.keys(Deno.env.toObject()).filter((name) => name.startsWith("HOLM")));
const [first, ...rest]: string[] = Deno.args;
console.log(first, rest.map((r) => r.length));
