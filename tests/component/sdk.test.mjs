// SPDX-License-Identifier: Apache-2.0
// The clients of sdk/ against a daemon on the fake engine.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { RunnerClient, RunnerError } from '../../sdk/javascript/holm-runner.js';
import { Daemon, dropData, makeData } from './daemon.mjs';

const here = import.meta.dirname ?? resolve(new URL('.', import.meta.url).pathname);
const daemons = [];
let main, full, keyed, client, key, socket;

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
    start((dir) => ({ 'pool.default': 1, 'server.listen': `127.0.0.1:0 unix:${dir}/s` })),
    start({ 'pool.default': 0, 'pool.vms': 0, 'limits.vms_max': 1, 'limits.run_queue_max': 0 }),
    start({ 'pool.default': 0, 'server.require_key': 'yes' }),
  ]);
  socket = join(main.dir, 's');
  key = readFileSync(join(keyed.dir, 'admin.key'), 'utf8').trim();
  client = new RunnerClient(main.url);
  for (const name of ['bash', 'c', 'python', 'nodejs']) await main.until(name, (l) => l.status === 'ready');
  await full.settled();
});

after(async () => {
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

const refusal = (status, field) => (e) => {
  assert.ok(e instanceof RunnerError);
  assert.deepEqual([e.status, e.field], [status, field]);
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
});

test('JavaScript: batches and run', async () => {
  const results = await client.executeBatch('c', 'cat', ['a', Uint8Array.of(255), ''], 30, { binary: true });
  assert.deepEqual(results.map((r) => [...r.stdout]), [[97], [255], []]);
  const one = await client.run('python', [{ name: 'x.py', content: 'cat' }], 'in');
  assert.deepEqual([one.status, one.stdout, one.exception], ['success', 'in', null]);
  const broken = await client.run('c', { 'main.c': 'syntax error' }, ['1', '2']);
  assert.deepEqual(broken.map((r) => r.exception), ['Compilation failed', 'Compilation failed']);
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

test('JavaScript: errors, cancelling, keys', async () => {
  await assert.rejects(client.execute('ruby2', 'x'), refusal(404, 'language'));
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
    },
  });
  let said = '';
  python.stderr.on('data', (data) => (said += data));
  python.stdout.on('data', (data) => (said += data));
  const [code] = await once(python, 'close');
  await giveBack();
  assert.equal(code, 0, said);
  assert.match(said, /^Ran 1\d tests|^Ran 2\d tests/m);
  await oneMoreCancelled(main, before);
});
