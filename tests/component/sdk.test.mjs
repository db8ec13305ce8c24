// SPDX-License-Identifier: Apache-2.0
// The clients of sdk/ against a daemon on the fake engine, and against a server that keeps silent or cuts its answers; and
// their types.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { RunnerClient, RunnerError } from '../../sdk/javascript/holm-runner.js';
import { Daemon, dropData, makeData } from './daemon.mjs';

const here = import.meta.dirname ?? resolve(new URL('.', import.meta.url).pathname);
const daemons = [];
let main, full, keyed, client, key, socket, odd;

// A root file system that is the words it was called with.
const builder = `#!/bin/bash
if [[ $1 == --list ]]; then printf '%s default=yes x\\n' ruby php; exit; fi
name=\${!#} data=$2
mkdir -p "$data/images/$name"
echo "$*" >"$data/images/$name/.new"
mv "$data/images/$name/.new" "$data/images/$name/rootfs.ext4"
`;

function makeRecipes(dir) {
  mkdirSync(join(dir, 'recipes'));
  writeFileSync(join(dir, 'recipes/build'), builder, { mode: 0o755 });
  return join(dir, 'recipes');
}

// Below /silent it never answers, below /mute not after the first line; below /cut the connection ends in the middle of an answer, below /short a
// stream just ends before its last event.
function startOdd() {
  const line = '{"t":"o","d":"dXAK"}\n';
  const server = createServer((req, res) => {
    const [, way] = req.url.split('/');
    req.resume();
    if (way === 'silent') return;
    res.on('error', () => {});
    res.writeHead(200, { 'content-type': 'application/json' });
    const isStream = req.headers.accept === 'application/x-ndjson';
    const begun = isStream ? line : '{"stdout": ';
    if (way === 'short') res.end(line);
    else res.write(begun, () => { if (way === 'cut') res.destroy(); });
  });
  server.listen(0, '127.0.0.1');
  return server;
}

// A daemon that is ready to run, and is stopped and gone at the end.
async function start(set) {
  const dir = makeData();
  const d = new Daemon(dir, { set: typeof set === 'function' ? set(dir) : set });
  daemons.push(d);
  await d.ready();
  return d;
}

before(async () => {
  [main, full, keyed] = await Promise.all([
    start((dir) => ({
      'pool.default': 1, 'server.listen': `127.0.0.1:0 unix:${dir}/s`, 'paths.images_dir': makeRecipes(dir),
    })),
    start({ 'pool.default': 0, 'pool.vms': 0, 'limits.vms_max': 1, 'limits.run_queue_max': 0 }),
    start({ 'pool.default': 0, 'server.require_key': 'yes' }),
  ]);
  socket = join(main.dir, 's');
  key = readFileSync(join(keyed.dir, 'admin.key'), 'utf8').trim();
  client = new RunnerClient(main.url);
  odd = startOdd();
  await once(odd, 'listening');
  odd.url = `http://127.0.0.1:${odd.address().port}`;
  for (const name of ['bash', 'c', 'python', 'nodejs', 'perl', 'typescript']) await main.until(name, (l) => l.status === 'ready');
  await full.settled();
});

after(async () => {
  odd?.closeAllConnections();
  odd?.close();
  for (const d of daemons) {
    await d.stop();
    dropData(d.dir);
  }
});

async function cancelled(d) {
  const m = await (await d.fetch('/metrics')).text();
  return Number(/^holm_runs_total\{result="cancelled"\} (\d+)$/m.exec(m)[1]);
}

// Resolves when one run more has been cancelled.
async function oneMoreCancelled(d, before) {
  while ((await cancelled(d)) <= before) await new Promise(setImmediate);
}

const refusal = (status, field, suggestion) => (e) => {
  assert.ok(e instanceof RunnerError);
  assert.deepEqual([e.status, e.field, e.suggestion], [status, field, suggestion]);
  return true;
};

test('JavaScript: execute', async () => {
  const result = await client.execute('nodejs', 'print 1024');
  assert.equal(result.stdout, '1024\n');
  assert.equal(result.exit_code, 0);
  assert.match(result.load_time, /^\d+ms$/);
  const all = await client.execute('bash', 'args\nenv MARK\nfile d/f\ncat', 30, {
    args: ['a b'], env: { MARK: 'm' }, files: { 'd/f': 'in file\n' }, stdin: 'in',
  });
  assert.equal(all.stdout, 'a b\nm\nin file\nin');
  const data = Uint8Array.from({ length: 256 }, (_, i) => i);
  const bytes = await client.execute('bash', 'file f\ncat', 30, { stdin: data, files: { f: data.buffer }, binary: true });
  assert.deepEqual([...bytes.stdout], [...data, ...data]);
  assert.deepEqual([...bytes.stderr], []);
  assert.equal((await client.execute('python', undefined, 30, { files: { 'main.py': 'print x' } })).stdout, 'x\n');
  const late = await client.execute('bash', 'hang', 1);
  assert.deepEqual([late.exit_code, late.timed_out], [124, true]);
  assert.equal((await client.execute('bash', 'memory 9', 30, { limits: { memory_mb: 8 } })).out_of_memory, true);
  const warm = async (options) => (await client.execute('python', 'print x', 30, options)).warm;
  assert.deepEqual([await warm(), await warm({ cold: true })], [true, undefined]);
});

test('JavaScript: batches and run', async () => {
  const results = await client.executeBatch('c', 'cat', ['a', Uint8Array.of(255), ''], 30, { binary: true });
  assert.deepEqual(results.map((r) => [...r.stdout]), [[97], [255], []]);
  const one = await client.run('python', [{ name: 'x.py', content: 'cat' }], 'in');
  assert.deepEqual([one.status, one.stdout, one.exception], ['success', 'in', null]);
  const broken = await client.run('c', { 'main.c': 'syntax error' }, ['1', '2']);
  assert.deepEqual(broken.map((r) => r.exception), ['Compilation failed', 'Compilation failed']);
  const options = { args: ['a b'], env: { MARK: 'm' }, binary: true, cold: true };
  const [bytes] = await client.run('python', { x: Uint8Array.from(Buffer.from('args\nenv MARK\ncat')) }, [Uint8Array.of(255)], 30, options);
  assert.deepEqual([...bytes.stdout], [...Buffer.from('a b\nm\n'), 255]);
  assert.deepEqual([[...bytes.stdin], bytes.stderr, bytes.warm], [[255], null, undefined]);
});

test('JavaScript: streams', async () => {
  const events = [];
  for await (const e of client.stream('bash', 'print one\neprint two\nexit 7')) events.push(e);
  assert.deepEqual(events.map((e) => [e.kind, e.data && Buffer.from(e.data).toString()]), [
    ['stdout', 'one\n'], ['stderr', 'two\n'], ['exit', undefined],
  ]);
  assert.equal(events.at(-1).result.exit_code, 7);
  const before = await cancelled(main);
  for await (const e of client.stream('bash', 'print up\nhang', 300)) {
    assert.equal(e.kind, 'stdout');
    break;
  }
  await oneMoreCancelled(main, before);
  await assert.rejects(async () => {
    for await (const e of client.stream('bash', 'print up\nsleep 300\ndie')) assert.equal(e.kind, 'stdout');
  }, refusal(502, undefined));
});

async function drain(stream) {
  const kinds = [];
  for await (const e of stream) kinds.push(e.kind);
  return kinds;
}

test('JavaScript: a daemon that is silent, and answers that are cut', async () => {
  const isCut = (e) => refusal(502)(e) && /^the stream was cut/.test(e.message);
  const is = { name: 'TimeoutError' };
  const of = (way) => new RunnerClient(`${odd.url}/${way}`, { patience: 0.1 });
  await assert.rejects(of('silent').health(), is);
  await assert.rejects(of('mute').health(), is);
  await assert.rejects(of('silent').execute('bash', 'x', 0), is);
  await assert.rejects(drain(of('silent').stream('bash', 'x', 0)), is);
  await assert.rejects(drain(of('mute').stream('bash', 'x', 0)), is);
  const gone = new AbortController();
  await assert.rejects(async () => {
    for await (const e of new RunnerClient(`${odd.url}/mute`).stream('bash', 'x', 30, { signal: gone.signal })) gone.abort(new Error(e.kind));
  }, { message: 'stdout' });
  await assert.rejects(new RunnerClient(`${odd.url}/cut`).execute('bash', 'x'), TypeError);
  for (const way of ['cut', 'short']) await assert.rejects(drain(new RunnerClient(`${odd.url}/${way}`).stream('bash', 'x')), isCut);
});

// Resolves with what `ask` resolves with once it fits.
async function until(ask, is) {
  for (;;) {
    const got = await ask();
    if (is(got)) return got;
    await new Promise((r) => setTimeout(r, 10));
  }
}

test('JavaScript: root file systems and snapshots', async () => {
  const rootfs = async () => (await client.rootfs()).find((r) => r.language === 'ruby');
  assert.equal(await rootfs(), undefined);
  const { message, language, build } = await client.createRootfs('ruby', { sizeMb: 512, force: true });
  assert.deepEqual([message, language], ['rootfs creation started', 'ruby']);
  const made = await until(rootfs, (r) => r.status === 'ready');
  assert.deepEqual(made.last_build, { id: build, kind: 'image', status: 'done' });
  assert.match(readFileSync(made.path, 'utf8'), /--force .*--size 512|--size 512 .*--force/);
  const least = (await client.language('perl')).memory_mib;
  assert.equal((await client.createSnapshot('perl', { memMb: least + 64, vcpus: 1 })).message, 'snapshot creation started');
  const snapshot = async () => (await client.snapshots()).find((s) => s.language === 'perl');
  await until(snapshot, (s) => s?.mem_size === (least + 64) * 2 ** 20 && s.vcpus === 1);
  await assert.rejects(client.createSnapshot('perl', { memMb: least - 1 }), refusal(400, 'mem_mb'));
  await assert.rejects(client.rootfs({ remote: true }), refusal(400, 'remote'));
  await assert.rejects(client.snapshots({ remote: true }), refusal(400, 'remote'));
});

test('JavaScript: errors, cancelling, keys', async () => {
  await assert.rejects(client.execute('zzzz', 'x'), refusal(404, 'language'));
  await assert.rejects(client.execute('pyhton', 'x'), refusal(404, 'language', 'python'));
  await assert.rejects(client.execute('python', 'x', 301), refusal(400, 'timeout'));
  await assert.rejects(client.execute('python'), { message: "either 'code' or 'files' must be provided" });
  await assert.rejects(client.language('a/b'), refusal(404, 'language'));
  await assert.rejects(new RunnerClient(keyed.url).languages(), refusal(401, undefined));
  assert.ok((await new RunnerClient(keyed.url, { apiKey: key }).languages()).length > 5);
  await assert.rejects(new RunnerClient('http://127.0.0.1:1').health(), TypeError);
  const gone = new AbortController();
  const before = await cancelled(main);
  const run = client.execute('bash', 'hang', 300, { signal: gone.signal });
  const begun = async () => Number(/^holm_http_requests_running (\d+)$/m.exec(await (await main.fetch('/metrics')).text())[1]);
  while ((await begun()) < 2) await new Promise(setImmediate);
  gone.abort();
  await assert.rejects(run, { name: 'AbortError' });
  await oneMoreCancelled(main, before);
});

// Takes the only VM that `full` has; what it returns gives it back.
async function takeRoom() {
  const stream = new RunnerClient(full.url, { retries: 100 }).stream('bash', 'print begun\nhang', 300);
  assert.equal((await stream.next()).value.kind, 'stdout');
  return () => stream.return();
}

test('JavaScript: no room is tried again', async () => {
  const giveBack = await takeRoom();
  const refused = new RunnerClient(full.url).execute('bash', 'print x');
  await assert.rejects(refused, (e) => refusal(503, undefined)(e) && e.retryAfter >= 1);
  const again = new RunnerClient(full.url, { retries: 20 }).execute('bash', 'print x');
  await giveBack();
  assert.equal((await again).stdout, 'x\n');
});

test('Python', async () => {
  const giveBack = await takeRoom();
  const before = await cancelled(main);
  const python = spawn('python3', ['-W', 'error', join(here, 'sdk_test.py')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PYTHONPATH: join(here, '../../sdk/python'),
      PYTHONDONTWRITEBYTECODE: '1',
      HOLM_URL: main.url,
      HOLM_SOCKET: socket,
      HOLM_FULL_URL: full.url,
      HOLM_KEY_URL: keyed.url,
      HOLM_KEY: key,
      HOLM_ODD_URL: odd.url,
    },
  });
  let said = '';
  python.stderr.on('data', (data) => (said += data));
  python.stdout.on('data', (data) => (said += data));
  const [code] = await once(python, 'close');
  await giveBack();
  assert.equal(code, 0, said);
  assert.match(said, /^Ran [23]\d tests/m);
  await oneMoreCancelled(main, before);
});

const run = promisify(execFile);

// What a compiler or checker says is in stdout.
async function checked(program, ...args) {
  const { stdout, code } = await run(program, args, { cwd: join(here, '../..') }).catch((e) => e);
  assert.equal(code ?? 0, 0, stdout);
}

test('the types of both', async () => {
  const tsc = join(here, '../node_modules/typescript/bin/tsc');
  const strict = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom', '--types', ''];
  await checked(process.execPath, tsc, ...strict, join(here, 'sdk_types.ts'));
  const python = ['sdk/python/holm_runner.py', 'tests/component/sdk_types.py'];
  await checked('mypy', '--strict', '--python-version', '3.8', '--cache-dir=/dev/null', ...python);
});

test('the types have every field of the daemon\'s answers, and the clients send every field of its requests', async () => {
  const document = await (await main.fetch('/openapi/runner.json')).json();
  const resolved = (o) => (o?.$ref ? o.$ref.slice(2).split('/').reduce((all, key) => all[key], document) : o);
  const answers = new Set(), sent = new Set();
  const collect = (given, names) => {
    const schema = resolved(given) ?? {};
    for (const name of Object.keys(schema.properties ?? {})) names.add(name);
    const inner = [schema.items, ...Object.values(schema.properties ?? {}), ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
    for (const one of inner.filter(Boolean)) collect(one, names);
  };
  for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    const good = Object.entries(operation.responses ?? {}).filter(([status]) => status < 300);
    for (const [, r] of good) collect(resolved(r).content?.['application/json']?.schema, answers);
    const body = resolved(operation.requestBody?.content?.['application/json']?.schema);
    for (const name of Object.keys(body?.properties ?? {})) sent.add(name);
  }
  assert.ok(answers.has('last_build') && answers.has('warm') && sent.has('cold') && sent.has('force'), [...answers, ...sent].join(' '));
  const types = readFileSync(join(here, '../../sdk/javascript/holm-runner.d.ts'), 'utf8');
  const clients = ['javascript/holm-runner.js', 'python/holm_runner.py'].map((name) => readFileSync(join(here, '../../sdk', name), 'utf8'));
  const envelopes = ['languages', 'count', 'rootfs', 'snapshots'];
  const lacking = [...answers].filter((name) => !envelopes.includes(name) && !new RegExp(`\\b${name}\\??:`).test(types));
  assert.deepEqual(lacking, []);
  for (const source of clients) assert.deepEqual([...sent].filter((name) => !new RegExp(`\\b${name}\\b`).test(source)), []);
});
