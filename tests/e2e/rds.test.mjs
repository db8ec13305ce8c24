// SPDX-License-Identifier: Apache-2.0
// The run-dat-sheesh API with real VMs: what its documents show, and what programs see inside.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Daemon, UID_FIRST, until } from './lib/holm.mjs';
import { Api } from './lib/native.mjs';
import { Rds } from './lib/rds.mjs';

let daemon, rds, api, vm;
test.before(async () => {
  daemon = await Daemon.start({
    uidFirst: UID_FIRST + 3072,
    set: { 'network.prefix': 'hte2ed', 'network.pool': '10.211.0.0/16', 'rds.rate_limits': 'no' },
  });
  await daemon.ready(['typescript']);
  rds = new Rds(daemon);
  api = new Api(daemon);
  vm = await rds.create();
});
test.after(async () => {
  for (const { id } of await rds?.call('GET', '/v1/vms').catch(() => []) ?? []) await rds.delete(id);
  api?.close();
  await daemon?.close();
});

async function created(t, more) {
  const made = await rds.create(more);
  t.after(() => rds.delete(made.id));
  return made;
}

// How many processes of a VM have a command line like this (a regular expression that must not match itself).
async function count(id, pattern) {
  const { stdout } = await rds.exec(id, `for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null | grep -c '${pattern}'`);
  return Number(stdout);
}

// --- VMs ---

test('the example of the documents, as it is there', async (t) => {
  const made = await created(t, { cpu: 1, memMb: 256, allowIps: ['172.16.0.1/32'], outboundInternet: true, diskSizeMb: 512 });
  assert.deepEqual([made.state, made.cpu, made.memMb, made.guestIp, made.provisionMode], ['RUNNING', 1, 256, '172.16.0.2', 'boot']);
  const { stdout } = await rds.exec(made.id, 'id && echo hello', { timeoutMs: 30000 });
  assert.match(stdout, /^uid=1000\(user\) gid=1000\(user\).*\nhello\n$/);
});

test('cpu, memory and disk are what was asked for', { timeout: 300_000 }, async (t) => {
  const made = await created(t, { cpu: 2, memMb: 700, diskSizeMb: 3000, imageId: 'bash' });
  assert.deepEqual([made.cpu, made.memMb, made.diskSizeMb], [2, 700, 3000]);
  const { stdout } = await rds.exec(made.id, "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo; df --output=size -m / | tail -1");
  const [cpus, kib, mib] = stdout.trim().split('\n').map(Number);
  assert.equal(cpus, 2);
  assert.ok(kib > 600 * 1024 && kib < 700 * 1024, `${kib} KiB`);
  assert.ok(mib > 2700 && mib <= 3000, `${mib} MiB`);
});

test('stop shuts down, start boots from the same disk', { timeout: 300_000 }, async (t) => {
  const made = await created(t, {});
  await rds.exec(made.id, 'echo kept > kept; sync');
  const boot = (await rds.exec(made.id, 'cat /proc/sys/kernel/random/boot_id')).stdout;
  await rds.call('POST', `/v1/vms/${made.id}/stop`, undefined, 204);
  assert.equal((await rds.get(made.id)).state, 'STOPPED');
  const refused = await rds.request('POST', `/v1/vms/${made.id}/exec`, { cmd: 'id' });
  assert.deepEqual([refused.status, refused.json.message], [409, 'VM must be RUNNING to exec (state=STOPPED)']);
  await rds.call('POST', `/v1/vms/${made.id}/start`, undefined, 204);
  const after = await rds.exec(made.id, 'cat kept /proc/sys/kernel/random/boot_id');
  assert.match(after.stdout, /^kept\n/);
  assert.ok(!after.stdout.includes(boot), 'it has booted');
  const life = await rds.call('GET', `/v1/vms/${made.id}/logs?type=firecracker.log`);
  assert.deepEqual(life.lines.map((l) => l.split(' ')[1]).filter((w) => ['stopping', 'stopped', 'running'].includes(w)),
    ['running', 'stopping', 'stopped', 'running']);
});

test('the serial console is in the log', async (t) => {
  const made = await created(t, { imageId: 'bash' });
  await api.exec(made.id.slice(3), 'echo to the console > /dev/console');
  await until(async () => (await rds.call('GET', `/v1/vms/${made.id}/logs?type=firecracker.stdout.log&tail=5`)).lines.includes('to the console'), 'the line');
});

test('a snapshot goes on where it was', async (t) => {
  await rds.exec(vm.id, 'nohup sh -c "sleep 987" >/dev/null 2>&1 & echo x > from-the-snapshot');
  const snapshot = await rds.call('POST', `/v1/vms/${vm.id}/snapshots`);
  t.after(() => rds.request('DELETE', `/v1/snapshots/${snapshot.id}`));
  const copy = await created(t, { snapshotId: snapshot.id });
  assert.deepEqual([copy.provisionMode, copy.snapshotId], ['snapshot', snapshot.id]);
  assert.equal((await rds.exec(copy.id, 'cat from-the-snapshot')).stdout, 'x\n');
  assert.ok(await count(copy.id, 'sleep 98[7]') > 0, 'what ran runs');
});

// --- exec ---

test('commands: who, where, and with what', async () => {
  const env = async (cmd, more) => (await rds.exec(vm.id, cmd, more)).stdout;
  assert.equal(await env('id -u; id -g; pwd; echo $HOME; shopt -q login_shell && echo login'), '1000\n1000\n/workspace\n/home/user\nlogin\n');
  assert.equal(await env('pwd', { cwd: '/tmp' }), '/tmp\n');
  assert.equal(await env('mkdir -p a/b; pwd', { cwd: 'a/../a' }), '/workspace\n', 'not there at first');
  assert.equal(await env('pwd', { cwd: 'a/../a/b' }), '/workspace/a/b\n');
  assert.equal(await env('pwd', { cwd: '/root' }), '/workspace\n', 'not its to enter');
  assert.equal(await env('echo "$A|$B"', { env: { A: 'x y\n"z"', B: '' } }), 'x y\n"z"|\n');
  for (const PATH of ['/nowhere', "/it's/here:", ''])
    assert.equal(await env('echo "$PATH"; /usr/bin/id -u', { env: { PATH } }), `${PATH}\n1000\n`);
  assert.equal(await env('touch /workspace/new && stat -c %u:%g /workspace/new'), '1000:1000\n');
  assert.equal(await env('cat'), '', 'standard input is empty');
});

test('commands: how they end, and what is kept of what they say', async () => {
  assert.deepEqual(await rds.exec(vm.id, 'echo out; echo err >&2; exit 3'), { exitCode: 3, stdout: 'out\n', stderr: 'err\n' });
  assert.equal((await rds.exec(vm.id, 'kill -TERM $$')).exitCode, 143);
  assert.equal((await rds.exec(vm.id, 'no-such-program')).exitCode, 127);
  const slow = await rds.exec(vm.id, 'echo begun; sleep 600 & sleep 601; echo never', { timeoutMs: 500 });
  assert.deepEqual(slow, { exitCode: -1, stdout: 'begun\n', stderr: '\nTimeout exceeded' });
  assert.equal(await count(vm.id, 'sleep 60[01]'), 0, 'all of it was ended');
  const flood = await rds.exec(vm.id, 'head -c 3000000 /dev/zero | tr "\\0" x; head -c 2000000 /dev/zero | tr "\\0" y >&2; exit 5');
  assert.deepEqual([flood.exitCode, flood.stdout.length, flood.stderr.length], [5, 1 << 20, 1 << 20]);
  assert.equal((await rds.exec(vm.id, "printf 'a\\xff\\xc3\\xa9\\0z'")).stdout, 'a\ufffd\u00e9\0z');
  assert.equal((await rds.exec(vm.id, `echo ${'x'.repeat(300_000)} | wc -c`)).stdout, '300001\n', 'longer than an argument may be');
  assert.equal((await rds.exec(vm.id, `: ${'x'.repeat(300_000)}; echo $PATH`, { env: { PATH: '/opt/x' } })).stdout, '/opt/x\n');
});

test('a command ends when its client goes', async () => {
  const gone = new AbortController();
  const run = rds.request('POST', `/v1/vms/${vm.id}/exec`, { cmd: 'sleep 654' }, { signal: gone.signal });
  await until(async () => await count(vm.id, 'sleep 65[4]') > 0, 'it to run');
  gone.abort();
  await assert.rejects(run, { name: 'AbortError' });
  await until(async () => await count(vm.id, 'sleep 65[4]') === 0, 'it to end');
});

// --- run-ts ---

const ts = (code, more) => rds.runTs(vm.id, code, more);

test('run-ts: what a program prints and says', async () => {
  assert.deepEqual(await ts('console.log(2 + 2)'), { exitCode: 0, stdout: '4\n', stderr: '' });
  assert.deepEqual(await ts('console.error("\u00e9\u{1f600}")'), { exitCode: 0, stdout: '', stderr: '\u00e9\u{1f600}\n' });
  for (const [code, result] of [
    ['result.set({ ok: true, answer: 42 })', { ok: true, answer: 42 }], ['result.set([1, "\u00e9\\u0000"])', [1, '\u00e9\0']],
    ['result.set(null)', null], ['result.set(undefined)', null], ['result.set(1); result.set(Math.PI)', Math.PI],
    ['result.set("x".repeat(900000))', 'x'.repeat(900000)], ['const a: number[] = [1]; result.set(a satisfies number[])', [1]],
    ['await new Promise((r) => setTimeout(r, 10)); result.set("late")', 'late'],
  ]) {
    assert.deepEqual(await ts(code), { exitCode: 0, stdout: '', stderr: '', result }, code);
  }
  const exits = await ts('result.set(5); console.log("x"); Deno.exit(3)');
  assert.deepEqual(exits, { exitCode: 3, stdout: 'x\n', stderr: '', result: 5 });
  const big = await ts('console.log("x".repeat(2 << 20)); console.error("y".repeat(2 << 20)); result.set(1)');
  assert.deepEqual([big.stdout.length, big.stderr.length, big.result], [1 << 20, 1 << 20, 1]);
});

test('run-ts: errors that are reported, and those that nobody caught', async () => {
  for (const [code, error] of [
    ['result.error({ code: 5 })', { code: 5 }], ['result.error("words")', 'words'], ['result.error(1n)', '1'],
    ['result.error("x"); Deno.exit(0)', 'x'], ['await Promise.reject("no")', 'no'],
  ]) {
    const r = await ts(code);
    assert.deepEqual([r.exitCode, r.error], [1, error], code);
  }
  for (const [code, name, message] of [
    ['result.error(new TypeError("bad"))', 'TypeError', 'bad'], ['throw new RangeError("top")', 'RangeError', 'top'],
    ['setTimeout(() => { throw new Error("later"); }, 1)', 'Error', 'later'], ['Promise.reject(new Error("rejected"))', 'Error', 'rejected'],
    ['const a: unknown[] = []; a.push(a); result.set(a)', 'TypeError', /circular/], ['result.set(1n)', 'TypeError', /BigInt/],
    ['result.set("x".repeat(2 << 20))', 'RangeError', /bytes/], ['const x: = 1', 'SyntaxError', /./],
    ['import "./missing.ts"', 'Error', /Module not found/], ['Deno.readTextFileSync("/etc/passwd")', 'NotCapable', /read access/],
  ]) {
    const r = await ts(code);
    assert.equal(r.exitCode, 1, code);
    assert.equal(r.error?.name, name, `${code}: ${JSON.stringify(r)}`);
    assert.match(r.error.message, message instanceof RegExp ? message : new RegExp(`^${message}$`));
    assert.equal(typeof r.error.stack, 'string');
  }
  const handled = await ts(`addEventListener("unhandledrejection", (e) => e.preventDefault());
    Promise.reject(new Error("x")); await new Promise((r) => setTimeout(r, 10)); result.set("goes on")`);
  assert.deepEqual(handled, { exitCode: 0, stdout: '', stderr: '', result: 'goes on' });
  const own = await ts('console.error("error: mine"); Deno.exit(1)');
  assert.deepEqual(own, { exitCode: 1, stdout: '', stderr: 'error: mine\n' });
});

test('run-ts: arguments, environment, files, flags', async () => {
  assert.deepEqual((await ts('result.set(Deno.args)', { args: ['a b', '-x', '--', '\u00e9', ''] })).result, ['a b', '-x', '--', '\u00e9', '']);
  const env = { env: ['API_TOKEN=s=1', 'EMPTY='] };
  assert.deepEqual((await ts('result.set([Deno.env.get("API_TOKEN"), Deno.env.get("EMPTY")])', env)).result, ['s=1', '']);
  assert.match((await ts('result.set(Deno.env.get("PATH"))', { env: ['PATH=/nowhere'] })).result, /(^|:)\/nowhere$/); // Deno adds to it
  assert.equal((await ts('Deno.env.get("HOME")', env)).error.name, 'NotCapable');
  assert.equal((await ts('Deno.env.get("HOME")')).error.name, 'NotCapable');
  for (const dir of ['/workspace', '/tmp']) {
    assert.equal((await ts(`Deno.writeTextFileSync("${dir}/f.txt", "x"); result.set(Deno.readTextFileSync("${dir}/f.txt"))`)).result, 'x');
  }
  for (const code of ['Deno.writeTextFileSync("/home/user/f", "")', 'Deno.readDirSync("/home/user")', 'new Deno.Command("id").outputSync()',
    'await fetch("http://198.51.100.9/")']) {
    assert.equal((await ts(code)).error?.name, 'NotCapable', code);
  }
  assert.equal((await ts('result.set(Deno.readTextFileSync("/etc/hostname").length > 0)', { denoFlags: ['--allow-read'] })).result, true);
  assert.equal((await ts('result.set(new TextDecoder().decode(new Deno.Command("id", { args: ["-u"] }).outputSync().stdout))', { denoFlags: ['-A'] })).result, '1000\n');
  assert.equal((await ts('result.set(Deno.env.get("HOME"))', { denoFlags: ['--allow-env'] })).result, '/home/user');
  assert.equal((await ts('result.set(Deno.env.get("DENO_DIR"))', { denoFlags: ['--allow-env'] })).result, '/workspace/.deno');
  assert.equal((await rds.exec(vm.id, 'ls -d .deno/*cache*')).exitCode, 0);
});

test('run-ts: a program in a file, its imports and its directory', async () => {
  await rds.exec(vm.id, `mkdir -p app/lib
    printf 'export const y: number = 42;' > app/lib/y.ts
    printf 'import { y } from "./lib/y.ts"; result.set({ y, main: import.meta.main, url: import.meta.url, cwd: Deno.cwd(), args: Deno.args });' > app/main.ts`);
  const expected = { y: 42, main: true, url: 'file:///workspace/app/main.ts', cwd: '/workspace/app', args: ['z'] };
  for (const path of ['/workspace/app/main.ts', 'app/main.ts', './app/../app/main.ts']) {
    const { json } = await rds.request('POST', `/v1/vms/${vm.id}/run-ts`, { path, args: ['z'] });
    assert.deepEqual(json.result, expected, JSON.stringify(json));
  }
  assert.equal((await ts('import { y } from "./app/lib/y.ts"; result.set(y)')).result, 42);
  const missing = await rds.request('POST', `/v1/vms/${vm.id}/run-ts`, { path: 'app/none.ts' });
  assert.match(missing.json.error.message, /Module not found/);
});

test('run-ts: time, and what is left behind', async () => {
  const files = async () => (await rds.exec(vm.id, 'find /workspace /tmp -xdev -path /workspace/.deno -prune -o -print | sort')).stdout;
  const before = await files();
  const loop = await ts('result.set("before"); while (true);', { timeoutMs: 20000 });
  assert.deepEqual(loop, { exitCode: -1, stdout: '', stderr: '\nTimeout exceeded', result: 'before' });
  assert.equal((await ts('Deno.readDirSync("/workspace"); result.set(1)')).result, 1);
  assert.equal(await files(), before);
  assert.equal(await count(vm.id, 'den[o] run'), 0);
});

test('run-ts: no Deno in the image', async (t) => {
  const made = await created(t, { imageId: 'bash' });
  const answer = await rds.request('POST', `/v1/vms/${made.id}/run-ts`, { code: '1' });
  assert.deepEqual([answer.status, answer.json], [409, { message: "the VM's image has no deno" }]);
});

test('exec of a command that begins with a dash', async () => {
  const answer = await rds.exec(vm.id, '-x 2>/dev/null; echo $? "$-"');
  assert.match(answer.stdout, /^127 [^x]*\n$/);
});

// An image of somebody's own need have neither: see images. Here they are taken away.
test('exec where there is no bash and no workspace', async (t) => {
  const made = await created(t, { imageId: 'bash' });
  await api.exec(made.id.slice(3), 'rm -rf /workspace; rm /bin/bash');
  assert.equal((await rds.exec(made.id, 'pwd; id -u; touch x && echo ok; echo $0')).stdout, '/workspace\n1000\nok\nsh\n');
  assert.equal((await rds.exec(made.id, 'pwd', { cwd: '/nowhere' })).stdout, '/workspace\n');
  assert.equal((await rds.exec(made.id, '-x 2>/dev/null; echo $?')).stdout, '127\n');
});
