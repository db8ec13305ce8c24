// SPDX-License-Identifier: Apache-2.0
// The runner dialect on the fake engine: batches, bounds, POST /api/v1/run, and the line of those who wait for room.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDaemon } from './daemon.mjs';

const quick = { set: { 'pool.default': 1 } };
const cold = { 'pool.default': 0, 'pool.vms': 0 };

async function ready(d, ...languages) {
  for (const name of languages) await d.until(name, (l) => l.status === 'ready');
}

async function answer(d, path, body, status = 200, headers = {}) {
  const res = await d.post(path, body, headers);
  const text = await res.text();
  assert.equal(res.status, status, text);
  await d.checkAnswer('POST', path, res, text);
  return JSON.parse(text);
}

const execute = (d, body, status) => answer(d, '/api/v1/execute', body, status);
const run = (d, body, status) => answer(d, '/api/v1/run', body, status);

async function metric(d, name) {
  const text = await (await d.fetch('/metrics')).text();
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)[1]);
}

async function waiting(d, n) {
  while ((await metric(d, 'holm_runs_waiting')) !== n) await new Promise(setImmediate);
}

test('run: what a program printed, in the words of older clients', async () => {
  await withDaemon(quick, async (d) => {
    await ready(d, 'python', 'c');
    const fine = await run(d, { language: 'python', files: [{ name: 'script.py', content: 'print hello' }] });
    assert.equal(fine.status, 'success');
    assert.equal(fine.stdout, 'hello\n');
    assert.equal(fine.stderr, null);
    assert.equal(fine.exception, null);
    assert.equal(fine.exit_code, 0);
    assert.ok(Number.isInteger(fine.executionTime));
    assert.equal(fine.stdin, undefined);
    assert.equal(fine.error, undefined);
    const failing = await run(d, { language: 'python', files: [{ name: 'a.py', content: 'eprint oops\nexit 3' }] });
    assert.deepEqual([failing.status, failing.stderr, failing.exception, failing.exit_code], ['success', 'oops\n', null, 3]);
    const late = await run(d, { language: 'python', files: { 'a.py': 'eprint x\nhang' }, timeout: 1 });
    assert.deepEqual([late.stderr, late.exception, late.exit_code], ['x\n\nExecution timed out', 'Timeout', 124]);
    const broken = await run(d, { language: 'c', files: { 'main.c': 'print x\nsyntax error' } });
    assert.deepEqual([broken.status, broken.exception, broken.exit_code], ['success', 'Compilation failed', 1]);
    assert.match(broken.stderr, /main.c: error: syntax error/);
    const compiled = await run(d, { language: 'c', files: { 'main.c': 'args\ncat' }, args: ['one'], stdin: 'in' });
    assert.equal(compiled.stdout, 'one\nin');
    const unknown = await run(d, { language: 'zzzz', files: { a: 'x' } }, 404);
    assert.equal(unknown.error, 'language not found: zzzz');
    assert.equal((await run(d, { language: 'c', files: { '../x.c': 'x', 'main.c': 'y' } }, 400)).field, 'files');
  });
});

test('a timeout is said at the end of stderr, within the bound, but not in a stream', async () => {
  const mark = '\nExecution timed out';
  await withDaemon(quick, async (d) => {
    await ready(d, 'bash', 'c');
    const code = 'print out\neprint err\nhang';
    const late = (more) => execute(d, { language: 'bash', code, timeout: 1, ...more });
    const plain = await late({});
    assert.deepEqual([plain.exit_code, plain.timed_out, plain.stdout, plain.stderr], [124, true, 'out\n', `err\n${mark}`]);
    assert.equal(atob((await late({ output_encoding: 'base64' })).stderr), `err\n${mark}`);
    const each = await late({ stdin: ['', ''] });
    assert.deepEqual(each.map((r) => r.stderr), Array(2).fill(`err\n${mark}`));
    const full = await late({ code: `eprint ${'e'.repeat(2000)}\nhang`, limits: { output_kb: 1 } });
    assert.deepEqual([full.stderr, full.stderr_truncated], ['e'.repeat(1024 - mark.length) + mark, true]);
    for (const more of [{}, { stdin: [''] }]) {
      const stream = await d.begin({ language: 'c', code, timeout: 1, ...more });
      const events = await stream.rest();
      const said = events.filter((e) => e.t === 'e').map((e) => atob(e.d)).join('');
      assert.deepEqual([said, events.at(-1).to], ['err\n', true]);
    }
  });
});

test('what a compiler and its program say has one bound', async () => {
  await withDaemon(quick, async (d) => {
    await ready(d, 'c');
    const code = `#warning ${'w'.repeat(900)}\neprint ${'e'.repeat(900)}`;
    const limits = { output_kb: 1 };
    const once = await run(d, { language: 'c', files: { 'main.c': code }, limits });
    const [each] = await execute(d, { language: 'c', code, stdin: [''], limits });
    for (const r of [once, each]) {
      assert.deepEqual([r.stderr.length, r.stderr_truncated, r.exit_code], [1024, true, 0]);
      assert.match(r.stderr, /^main.c: warning: w{900}\ne+$/);
    }
    const stream = await d.begin({ language: 'c', code, stdin: [''], limits });
    const events = await stream.rest();
    const said = events.filter((e) => e.t === 'e').map((e) => atob(e.d)).join('');
    assert.deepEqual([said.length, events.at(-1).stderr_truncated], [1024, true]);
    const whole = await run(d, { language: 'c', files: { 'main.c': code } });
    assert.deepEqual([whole.stderr.length, whole.stderr_truncated], [each.stderr.split('\n')[0].length + 902, undefined]);
  });
});

test('a batch runs once for each input', async () => {
  await withDaemon(quick, async (d) => {
    await ready(d, 'python', 'c');
    const inputs = ['first', '', 'ünd\u0000 third'];
    for (const language of ['python', 'c']) {
      const files = [{ name: 'x', content: 'cat' }];
      const list = await run(d, { language, files, stdin: inputs });
      assert.deepEqual(list.map((r) => r.stdout), inputs);
      assert.deepEqual(list.map((r) => r.stdin), inputs);
      assert.ok(list.every((r) => r.status === 'success' && r.exit_code === 0));
      const same = await execute(d, { language, code: 'cat', stdin: inputs });
      assert.deepEqual(same.map((r) => r.stdout), inputs);
    }
    const broken = await run(d, { language: 'c', files: { x: 'syntax error' }, stdin: ['a', 'b'] });
    assert.deepEqual(broken.map((r) => r.exception), ['Compilation failed', 'Compilation failed']);
    // Each has the whole timeout, and one that takes it does not take it from the next.
    const late = await run(d, { language: 'python', files: { x: 'print begun\ncat\nbusy 10' }, stdin: ['a', 'b'], timeout: 1 });
    assert.deepEqual(late.map((r) => r.exit_code), [0, 0]);
    const hung = await run(d, { language: 'python', files: { x: 'print begun\nhang' }, stdin: ['a', 'b'], timeout: 1 });
    assert.deepEqual(hung.map((r) => [r.exit_code, r.exception, r.stdout]), Array(2).fill([124, 'Timeout', 'begun\n']));
    const dead = await run(d, { language: 'python', files: { x: 'die' }, stdin: ['a', 'b'] }, 502);
    assert.equal(dead.status, 'failed');
    assert.equal(await metric(d, 'holm_runs_total\\{result="timed_out"\\}'), 2);
  });
});

test('all outputs of a batch share a bound', async () => {
  await withDaemon(quick, async (d) => {
    await ready(d, 'bash');
    const list = await execute(d, { language: 'bash', code: `flood ${3 << 20}`, stdin: Array(16).fill('') });
    assert.ok(list.every((r) => r.stdout.length === 1 << 20 && r.stdout_truncated));
  });
});

test('events of a batch', async () => {
  await withDaemon(quick, async (d) => {
    await ready(d, 'c');
    const res = await d.execute({ language: 'c', code: 'cat\nexit 4', stdin: ['a', 'b'] }, { accept: 'application/x-ndjson' });
    const events = (await res.text()).trim().split('\n').map((l) => JSON.parse(l));
    assert.deepEqual(events.map((e) => [e.t, e.i, e.c, e.d]), [
      ['o', 0, undefined, btoa('a')], ['x', 0, 4, undefined], ['o', 1, undefined, btoa('b')], ['x', 1, 4, undefined],
    ]);
  });
});

test('limits: what is asked for, what is configured, what may be asked for', async () => {
  const set = { 'pool.default': 1, 'run.memory_mib': 8, 'run.memory_max_mib': 64, 'run.output_kib': 1, 'run.output_max_kib': 2 };
  await withDaemon({ set }, async (d) => {
    await ready(d, 'bash');
    const use = (limits, code) => execute(d, { language: 'bash', code, limits });
    const within = await use({}, 'memory 8\nbusy 5\nflood 1024');
    assert.equal(within.exit_code, 0);
    assert.equal(within.memory_peak_kb, 8192);
    assert.ok(within.cpu_time_us >= 5000 && within.cpu_time_us <= within.exec_time_us);
    assert.equal(within.stdout_truncated, undefined);
    const beyond = await use({}, 'print x\nmemory 9\nprint never');
    assert.deepEqual([beyond.out_of_memory, beyond.exit_code, beyond.signal, beyond.stdout], [true, 137, 'SIGKILL', 'x\n']);
    assert.equal((await use({ memory_mb: 64 }, 'memory 9')).exit_code, 0);
    const flood = await use({ output_kb: 2 }, 'flood 5000\neprint x');
    assert.deepEqual([flood.stdout.length, flood.stdout_truncated, flood.stderr, flood.stderr_truncated], [2048, true, 'x\n', undefined]);
    assert.equal((await use({}, 'flood 5000')).stdout.length, 1024);
    const body = { language: 'bash', code: 'x' };
    const more = await execute(d, { ...body, limits: { memory_mb: 65 } }, 400);
    assert.equal(more.field, 'limits.memory_mb');
    assert.match(more.error, /more than 64/);
    assert.equal((await execute(d, { ...body, limits: { output_kb: 3 } }, 400)).field, 'limits.output_kb');
    // Streamed output has no bound but one that is asked for.
    const stream = async (limits) => {
      const res = await d.execute({ language: 'bash', code: 'flood 5000', limits }, { accept: 'application/x-ndjson' });
      const events = (await res.text()).trim().split('\n').map((l) => JSON.parse(l));
      const bytes = events.filter((e) => e.t === 'o').reduce((n, e) => n + atob(e.d).length, 0);
      return [bytes, events.at(-1).stdout_truncated];
    };
    assert.deepEqual(await stream({}), [5000, undefined]);
    assert.deepEqual(await stream({ output_kb: 1 }), [1024, true]);
    const starved = await run(d, { language: 'bash', files: { x: 'memory 9' } });
    assert.deepEqual([starved.exception, starved.out_of_memory], ['Out of memory', true]);
  });
});

test('who finds no room waits in line, first come, first served', async () => {
  await withDaemon({ set: { ...cold, 'limits.vms_max': 1, 'limits.run_queue_max': 4 } }, async (d) => {
    await d.settled();
    const gone = new AbortController();
    const first = await d.begin({ language: 'bash', code: 'print begun\nhang', timeout: 300 }, gone.signal);
    const order = [];
    const line = [];
    for (const i of [0, 1, 2, 3]) {
      const answered = d.execute({ language: i % 2 ? 'perl' : 'bash', code: `print ${i}` });
      line.push(answered.then(async (res) => order.push((await res.json()).stdout.trim())));
      await waiting(d, i + 1);
    }
    const refused = await d.execute({ language: 'bash', code: 'print 4' });
    assert.equal(refused.status, 503);
    assert.match(refused.headers.get('retry-after'), /^[1-9]\d*$/);
    assert.match((await refused.json()).error, /4 of 4 places in the line/);
    gone.abort();
    await first.rest();
    await Promise.all(line);
    assert.deepEqual(order, ['0', '1', '2', '3']);
    assert.equal(await metric(d, 'holm_runs_waiting'), 0);
  });
});

test('who waits too long is told so, and who leaves the line is gone', async () => {
  await withDaemon({ set: { ...cold, 'limits.vms_max': 1, 'limits.run_wait_s': 1 } }, async (d) => {
    await d.settled();
    const gone = new AbortController();
    const first = await d.begin({ language: 'bash', code: 'print begun\nhang', timeout: 300 }, gone.signal);
    const late = await d.execute({ language: 'bash', code: 'print x' });
    assert.equal(late.status, 503);
    assert.match(late.headers.get('retry-after'), /^[1-9]\d*$/);
    assert.match((await late.json()).error, /no VM became free in time/);
    const leaver = new AbortController();
    const left = d.fetch('/api/v1/execute', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ language: 'bash', code: 'print x' }),
      signal: leaver.signal,
    });
    await waiting(d, 1);
    leaver.abort();
    await assert.rejects(left);
    await waiting(d, 0);
    gone.abort();
    await first.rest();
    assert.equal((await execute(d, { language: 'bash', code: 'print again' })).stdout, 'again\n');
  });
});

test('fifty users at once: each gets the answer to their own program', async () => {
  await withDaemon({ set: { 'limits.vms_max': 8, 'pool.default': 1 } }, async (d) => {
    await d.settled();
    const languages = ['bash', 'python', 'perl', 'nodejs', 'c'];
    const asks = Array.from({ length: 50 }, (_, i) =>
      execute(d, { language: languages[i % 5], code: `print I am ${i}\ncat`, stdin: `in ${i}` }),
    );
    const answers = await Promise.all(asks);
    answers.forEach((r, i) => assert.equal(r.stdout, `I am ${i}\nin ${i}`));
  });
});
