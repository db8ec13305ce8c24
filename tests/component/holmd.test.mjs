// SPDX-License-Identifier: Apache-2.0
// The daemon as its clients see it, on the fake engine: every endpoint, every error, every way a VM can fail.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Daemon, dropData, leftovers, makeData, monitorsOf, withDaemon } from './daemon.mjs';

const quick = { set: { 'pool.default': 1 } };

async function errorOf(res, status) {
  assert.equal(res.status, status);
  assert.match(res.headers.get('content-type'), /^application\/json/);
  const body = await res.json();
  assert.equal(typeof body.error, 'string');
  return body;
}

test('health, languages and documents', async () => {
  await withDaemon(quick, async (d) => {
    const health = await d.fetch('/health');
    assert.equal(health.status, 200);
    assert.equal((await health.json()).status, 'healthy');
    const list = await (await d.fetch('/api/v1/languages')).json();
    assert.equal(list.count, list.languages.length);
    assert.deepEqual(list.languages.find((l) => l.name === 'python').extension, '.py');
    const python = await d.language('py');
    assert.equal(python.name, 'python');
    const openapi = await (await d.fetch('/openapi/runner.json')).json();
    assert.ok(openapi.paths['/api/v1/execute'].post);
    const metrics = await (await d.fetch('/metrics')).text();
    assert.match(metrics, /^holm_vms \d+$/m);
    assert.match(metrics, /^holm_runs_total\{result="ok"\} 0$/m);
  });
});

test('a program runs, from the pool and without it', async () => {
  await withDaemon(quick, async (d) => {
    await d.until('python', (l) => l.pooled === 1);
    const res = await d.execute({ language: 'python', code: 'print hello\neprint oops\nexit 3' });
    assert.equal(res.status, 200);
    const body = await res.json();
    assert.equal(body.stdout, 'hello\n');
    assert.equal(body.stderr, 'oops\n');
    assert.equal(body.exit_code, 3);
    assert.match(body.load_time, /^\d+ms$/);
    assert.match(body.exec_time, /^\d+ms$/);
    assert.equal(body.timed_out, undefined);
  });
  await withDaemon({ set: { 'pool.default': 0 } }, async (d) => {
    await d.until('python', (l) => l.status === 'ready');
    const body = await (await d.execute({ language: 'python', code: 'print cold' })).json();
    assert.equal(body.stdout, 'cold\n');
  });
});

test('arguments, environment, files and input arrive', async () => {
  await withDaemon(quick, async (d) => {
    await d.until('bash', (l) => l.status === 'ready');
    const res = await d.execute({
      language: 'bash',
      code: 'args\nenv GREETING\nfile data/a.txt\ncat',
      args: ['one', 'two words', 'ü'],
      env: { GREETING: 'hi there' },
      files: { 'data/a.txt': 'from the file\n' },
      stdin: 'from the input\n',
    });
    const body = await res.json();
    for (const part of ['one', 'two words', 'ü', 'hi there', 'from the file', 'from the input'])
      assert.ok(body.stdout.includes(part), `${part} is not in ${body.stdout}`);
  });
});

test('a signal, a flood and a timeout', async () => {
  await withDaemon(quick, async (d) => {
    await d.until('bash', (l) => l.status === 'ready');
    const killed = await (await d.execute({ language: 'bash', code: 'signal 11' })).json();
    assert.equal(killed.exit_code, 139);
    const flood = await (await d.execute({ language: 'bash', code: `flood ${9 << 20}` })).json();
    assert.equal(flood.stdout.length, 4 << 20);
    assert.equal(flood.stdout_truncated, true);
    assert.equal(flood.exit_code, 0);
    const late = await (await d.execute({ language: 'bash', code: 'print before\nhang', timeout: 1 })).json();
    assert.equal(late.exit_code, 124);
    assert.equal(late.timed_out, true);
    assert.equal(late.stdout, 'before\n');
  });
});

test('streaming', async () => {
  await withDaemon(quick, async (d) => {
    await d.until('bash', (l) => l.status === 'ready');
    const res = await d.execute(
      { language: 'bash', code: 'print one\neprint two\nexit 7' },
      { accept: 'application/x-ndjson' },
    );
    assert.equal(res.status, 200);
    const events = (await res.text()).trim().split('\n').map((l) => JSON.parse(l));
    const text = (t) => Buffer.concat(events.filter((e) => e.t === t).map((e) => Buffer.from(e.d, 'base64'))).toString();
    assert.equal(text('o'), 'one\n');
    assert.equal(text('e'), 'two\n');
    assert.equal(events.at(-1).t, 'x');
    assert.equal(events.at(-1).c, 7);
  });
});

test('bad requests name what is wrong', async () => {
  const ok = { language: 'python', code: 'print 1' };
  const rows = [
    [{ code: 'x' }, 400, 'language'],
    [{ language: 'python' }, 400, 'code'],
    [{ ...ok, stdin: [] }, 400, 'stdin'],
    [{ ...ok, stdin: Array(101).fill('') }, 413, 'stdin'],
    [{ ...ok, stdin: Array(100).fill(''), timeout: 60 }, 400, 'timeout'],
    [{ ...ok, limits: { memory_mb: 1 } }, 400, 'limits.memory_mb'],
    [{ ...ok, language: 'ruby2' }, 404, 'language'],
    [{ ...ok, language: 7 }, 400, 'language'],
    [{ ...ok, code: 'x'.repeat((1 << 20) + 1) }, 413, 'code'],
    [{ ...ok, timeout: 0 }, 400, 'timeout'],
    [{ ...ok, timeout: 301 }, 400, 'timeout'],
    [{ ...ok, timeout: '3' }, 400, 'timeout'],
    [{ ...ok, timeout: 1.5 }, 400, 'timeout'],
    [{ ...ok, args: 'x' }, 400, 'args'],
    [{ ...ok, args: [1] }, 400, 'args'],
    [{ ...ok, args: Array(300).fill('x') }, 413, 'args'],
    [{ ...ok, env: { 'A=B': 'x' } }, 400, 'env'],
    [{ ...ok, env: { '': 'x' } }, 400, 'env'],
    [{ ...ok, env: { A: 1 } }, 400, 'env'],
    [{ ...ok, files: { '../x': 'x' } }, 400, 'files'],
    [{ ...ok, files: { '/etc/passwd': 'x' } }, 400, 'files'],
    [{ ...ok, files: { 'a//b': 'x' } }, 400, 'files'],
    [{ ...ok, files: { 'main.py': 'x' } }, 400, 'files'],
    [{ ...ok, files: { 'main.py/x': 'x' } }, 400, 'files'],
    [{ ...ok, files: { a: 'x', 'a/b': 'x' } }, 400, 'files'],
    [{ ...ok, stdin: 'x'.repeat((4 << 20) + 1) }, 413, 'stdin'],
    [{ ...ok, colour: 'red' }, 400, 'colour'],
  ];
  await withDaemon(quick, async (d) => {
    await d.until('python', (l) => l.status === 'ready');
    for (const [body, status, field] of rows) {
      const e = await errorOf(await d.execute(body), status);
      assert.ok(e.field?.startsWith(field) || e.error.includes(field), `${field}: ${JSON.stringify(e)}`);
    }
    assert.match((await errorOf(await d.execute('{"language": "python",'), 400)).error, /JSON/);
    await errorOf(await d.execute('[1]'), 400);
    await errorOf(await d.execute(''), 400);
    await errorOf(await d.post('/api/v1/execute', '{}', { 'content-type': 'text/plain' }), 415);
    const e = await errorOf(await d.fetch('/api/v1/execute'), 405);
    assert.match(e.error, /GET/);
    assert.equal((await d.fetch('/api/v1/execute')).headers.get('allow')?.includes('POST'), true);
    await errorOf(await d.fetch('/api/v1/nothing'), 404);
    assert.match((await errorOf(await d.fetch('/api/v1/languages/ruby2'), 404)).error, /language not found: ruby2/);
    await errorOf(await d.execute(ok, { origin: 'https://evil.example' }), 403);
  });
});

test('admission: 503 with Retry-After, never a half-made VM', async () => {
  await withDaemon({ set: { 'limits.vms_max': 2, 'limits.run_queue_max': 0, 'pool.default': 0 } }, async (d) => {
    await d.settled();
    const code = 'sleep 400';
    const results = await Promise.all(Array.from({ length: 8 }, () => d.execute({ language: 'bash', code })));
    const statuses = results.map((r) => r.status);
    assert.ok(statuses.includes(200), String(statuses));
    assert.ok(statuses.includes(503), String(statuses));
    assert.ok(statuses.every((s) => s === 200 || s === 503), String(statuses));
    const refused = results.find((r) => r.status === 503);
    assert.match(refused.headers.get('retry-after'), /^\d+$/);
    assert.match((await refused.json()).error, /no room for another VM/);
    const again = await d.execute({ language: 'bash', code: 'print fine' });
    assert.ok([200, 503].includes(again.status));
  });
});

test('idle VMs of other languages give way', async () => {
  await withDaemon({ set: { 'limits.vms_max': 2, 'pool.default': 0, 'pool.bash': 2, 'pool.vms': 0 } }, async (d) => {
    await d.settled();
    await d.until('bash', (l) => l.pooled === 2);
    const res = await d.execute({ language: 'perl', code: 'print room' });
    assert.equal(res.status, 200);
  });
});

test('a VM that ran code is never used again', async () => {
  await withDaemon(quick, async (d) => {
    const seen = new Set();
    for (let i = 0; i < 10; i++) {
      await d.until('bash', (l) => l.status === 'ready');
      const body = await (await d.execute({ language: 'bash', code: 'file /var/lib/mark\nput /var/lib/mark used' })).json();
      assert.ok(!body.stdout.includes('used'), body.stdout);
      seen.add(body.stdout);
    }
    const m = await (await d.fetch('/metrics')).text();
    assert.match(m, /^holm_runs_total\{result="ok"\} 10$/m);
    const ended = Number(/^holm_vms_ended_total (\d+)$/m.exec(m)[1]);
    assert.ok(ended >= 9, `${ended} VMs ended`);
  });
});

test('a guest that dies under a program is a 502, and the next run is fine', async () => {
  await withDaemon(quick, async (d) => {
    await d.until('bash', (l) => l.status === 'ready');
    await errorOf(await d.execute({ language: 'bash', code: 'print x\ndie' }), 502);
    const body = await (await d.execute({ language: 'bash', code: 'print alive' })).json();
    assert.equal(body.stdout, 'alive\n');
  });
});

for (const [name, faults, status] of [
  ['restore fails', 'restore=fail', [500]],
  ['the agent never answers', 'restore.agent=never', [504]],
  ['the agent answers garbage', 'restore.agent=garbage', [502, 504]], // seen as such, or waited out
  ['exec is reset', 'restore.exec=reset', [502]],
]) {
  test(`when ${name}: an error, and nothing is left`, async () => {
    const dir = makeData();
    try {
      const set = { 'pool.default': 0, 'engine.restore_timeout_s': 1 };
      await withDaemon({ dir, set, faults }, async (d) => {
        await d.until('bash', (l) => l.status === 'ready');
        const res = await d.execute({ language: 'bash', code: 'print x' });
        assert.ok(status.includes(res.status), `${res.status} ${await res.text()}`);
        assert.equal((await d.fetch('/health')).status, 200);
      });
      assert.deepEqual(leftovers(dir), []);
    } finally {
      dropData(dir);
    }
  });
}

for (const faults of ['boot=fail', 'capture=enospc', 'boot.agent=never']) {
  test(`an image that cannot be prepared (${faults}) says why and leaves nothing`, async () => {
    const dir = makeData();
    try {
      await withDaemon({ dir, faults, set: { 'engine.boot_timeout_s': 1 } }, async (d) => {
        await d.until('bash', (l) => l.status === 'failed');
        await errorOf(await d.execute({ language: 'bash', code: 'print x' }), 502);
      });
      assert.deepEqual(leftovers(dir), []);
      assert.deepEqual(readdirSync(`${dir}/templates`), []);
    } finally {
      dropData(dir);
    }
  });
}

test('SIGTERM lets a running program end, then leaves nothing', async () => {
  const dir = makeData();
  try {
    const d = await new Daemon(dir, quick).ready();
    await d.until('bash', (l) => l.status === 'ready');
    const running = await d.begin({ language: 'bash', code: 'print begun\nsleep 300\nprint done' });
    d.child.kill('SIGTERM');
    const events = await running.rest();
    assert.equal(events.at(-1).t, 'x');
    assert.equal(Buffer.from(events.at(-2).d, 'base64').toString(), 'done\n');
    const [code] = await d.exited;
    assert.equal(code, 0);
    assert.deepEqual(leftovers(dir), []);
  } finally {
    dropData(dir);
  }
});

test('SIGTERM with a short grace cancels what still runs', async () => {
  const dir = makeData();
  try {
    const d = await new Daemon(dir, { set: { 'server.shutdown_grace_s': 0 } }).ready();
    await d.until('bash', (l) => l.status === 'ready');
    const running = await d.begin({ language: 'bash', code: 'print begun\nhang', timeout: 300 });
    d.child.kill('SIGTERM');
    await running.rest();
    const [code] = await d.exited;
    assert.equal(code, 0);
    assert.deepEqual(leftovers(dir), []);
  } finally {
    dropData(dir);
  }
});

test('after kill -9 idle VMs are adopted, used ones are ended', async () => {
  const dir = makeData();
  try {
    const first = await new Daemon(dir, quick).ready();
    await first.until('bash', (l) => l.pooled === 1);
    await first.until('perl', (l) => l.pooled === 1);
    const lost = await first.begin({ language: 'bash', code: 'print begun\nhang', timeout: 300 });
    const before = leftovers(dir).length;
    await first.kill('SIGKILL');
    await lost.rest();
    assert.ok(before > 0);
    const second = await new Daemon(dir, quick).ready();
    await second.logged(/vm=\w+ language=perl adopted/);
    await second.logged(/vm=\w+ of a former daemon ended/);
    await second.until('bash', (l) => l.status === 'ready');
    const body = await (await second.execute({ language: 'perl', code: 'print still here' })).json();
    assert.equal(body.stdout, 'still here\n');
    const [code] = await second.stop();
    assert.equal(code, 0);
    assert.deepEqual(leftovers(dir), []);
  } finally {
    dropData(dir);
  }
});

test('killed twenty times at any moment, the daemon comes back clean', async () => {
  const dir = makeData();
  try {
    for (let i = 0; i < 20; i++) {
      const d = await new Daemon(dir, quick).ready();
      const work = [1, 2, 3].map(() => d.execute({ language: 'bash', code: 'sleep 20' }).catch(() => 'cut'));
      await new Promise((r) => setTimeout(r, i * 7));
      await d.kill('SIGKILL');
      await Promise.all(work);
    }
    const last = await new Daemon(dir, quick).ready();
    await last.until('bash', (l) => l.pooled === 1);
    const body = await (await last.execute({ language: 'bash', code: 'print whole' })).json();
    assert.equal(body.stdout, 'whole\n');
    const [code] = await last.stop();
    assert.equal(code, 0, last.log);
    assert.deepEqual(leftovers(dir), []);
  } finally {
    dropData(dir);
  }
});

test('a pool of dead VMs is noticed: the run gets a new one', async () => {
  await withDaemon({ set: { 'pool.default': 0, 'pool.bash': 3 } }, async (d) => {
    await d.settled();
    await d.until('bash', (l) => l.pooled === 3);
    for (const id of leftovers(d.dir)) monitorsOf(`${d.dir}/vms/${id}`).forEach((pid) => process.kill(pid, 'SIGKILL'));
    const res = await d.execute({ language: 'bash', code: 'print alive' });
    assert.equal(res.status, 200, await res.clone().text());
  });
});

test('a damaged template is made anew', async () => {
  await withDaemon({ set: { 'pool.default': 0 } }, async (d) => {
    await d.settled();
    const { template } = JSON.parse(readFileSync(`${d.dir}/templates/bash.bash.json`));
    for (const f of readdirSync(`${d.dir}/templates/${template}`))
      writeFileSync(`${d.dir}/templates/${template}/${f}`, 'damage');
    const res = await d.execute({ language: 'bash', code: 'print whole' });
    assert.equal((await res.json()).stdout, 'whole\n');
  });
});

test('two daemons cannot share a data directory', async () => {
  await withDaemon(quick, async (d) => {
    const other = new Daemon(d.dir, quick);
    const [code] = await other.exited;
    assert.equal(code, 1);
    assert.match(other.log, /another holmd uses/);
  });
});

// What a process that lives has open now.
function openFiles(pid) {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return []; // closed meanwhile
    }
  });
}

// A process that it was just starting, for instance.
test('what a killed daemon left holds the lock a moment longer', async () => {
  const dir = makeData();
  const holder = spawn('flock', [`${dir}/holmd.lock`, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    holder.stdin.write('locked\n');
    await once(holder.stdout, 'data');
    const d = new Daemon(dir, quick);
    while (!openFiles(d.child.pid).includes(`${dir}/holmd.lock`)) await new Promise(setImmediate);
    holder.stdin.end();
    await d.ready();
    const [code] = await d.stop();
    assert.equal(code, 0, d.log);
  } finally {
    holder.stdin.end();
    dropData(dir);
  }
});

test('a client that goes away ends its program', async () => {
  await withDaemon(quick, async (d) => {
    await d.until('bash', (l) => l.status === 'ready');
    const gone = new AbortController();
    const running = await d.begin({ language: 'bash', code: 'print x\nhang', timeout: 300 }, gone.signal);
    gone.abort();
    await running.rest();
    for (;;) {
      const m = await (await d.fetch('/metrics')).text();
      if (/^holm_runs_total\{result="cancelled"\} 1$/m.test(m)) break;
    }
  });
});

test('bad options are refused with a reason', async () => {
  for (const [set, expected] of [
    [{ 'limits.vms_max': 'many' }, /vms_max must be a whole number/],
    [{ 'engine.engine': 'warp' }, /warp/],
    [{ 'server.log_level': 'loud' }, /log_level/],
    [{ 'no.such': '1' }, /there is no option no.such/],
  ]) {
    const dir = makeData();
    try {
      const d = new Daemon(dir, { set });
      const [code] = await d.exited;
      assert.notEqual(code, 0);
      assert.match(d.log, expected);
    } finally {
      dropData(dir);
    }
  }
});
