const source = "console.log(Deno.args); self.postMessage(0); self.close()";
const worker = new Worker("data:application/javascript," + encodeURIComponent(source), { type: "module" });
worker.onmessage = () => console.log(Deno.args, Deno.mainModule, Object.entries(Deno.env.toObject()).sort());
