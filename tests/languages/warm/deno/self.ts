import process from "node:process";
console.log(import.meta.main, import.meta.url, Deno.args, Deno.mainModule, Deno.cwd(), process.argv.slice(1), Object.entries(Deno.env.toObject()).sort());
console.log(Object.keys(globalThis), typeof Math.random(), Deno.stdin.isTerminal());
console.log(new TextDecoder().decode(new Deno.Command("sh", { args: ["-c", "ls /proc/self/fd | wc -l; env | sort"] }).outputSync().stdout));
globalThis.addEventListener("unload", () => console.log("leaving"));
setTimeout(() => { throw new TypeError("late"); }, 10);
