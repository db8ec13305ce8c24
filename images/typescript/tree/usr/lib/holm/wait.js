// SPDX-License-Identifier: Apache-2.0
// Loaded before the program, and in the same isolate: warms up what every program needs, then touches the program's file, where wait.so
// stops this process until its job has come, and takes the program's arguments (docs/warm.md). In a worker it is nothing.
if (typeof WorkerGlobalScope === 'undefined') {
  await import('data:application/typescript,const word: string = "";Deno.inspect(word)');
  const file = new URL(Deno.mainModule).pathname;
  Deno.lstatSync(file);
  const [count, ...rest] = Deno.readTextFileSync(`${file}.job`).split('\0');
  Deno.args.push(...rest.slice(0, Number(count)));
}
