// SPDX-License-Identifier: Apache-2.0
// Random malformed requests to every endpoint of every dialect, as the documents name them: each gets an answer of
// the dialect's own, 4xx or, where it happens to be right, a documented success; and the daemon is afterwards what
// it was. HOLM_SEED repeats a run, HOLM_MALFORMED is the number for an endpoint.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { rdsListener, withDaemon } from './daemon.mjs';
import { Wire, malformed, randomOf } from './malformed.mjs';

const isSanitized = (process.env.HOLM_SANITIZE ?? 'none') !== 'none'; // slow, and keeps what was freed
const seed = Number(process.env.HOLM_SEED ?? 1);
const each = Number(process.env.HOLM_MALFORMED ?? (isSanitized ? 40 : 200));
const WORKERS = 8;
const RSS_GROWTH_MAX = 24 << 20;

const quiet = {
  env: { MALLOC_ARENA_MAX: '2' }, // what is free in many arenas looks like what is lost
  set: {
    ...rdsListener.set, 'server.log_level': 'info', 'limits.vms_max': '4096', 'limits.memory_max_mib': '16777216',
    'rds.vms_max': '0', 'pool.default': '0', 'pool.vms': '0', 'limits.queue_max': '4096',
  },
};

const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) << 10;
const fds = (pid) => readdirSync(`/proc/${pid}/fd`).length;

// What requests may name: a VM that runs and a snapshot of it, made anew when the last request ended them.
class Fixtures {
  constructor(d) {
    this.d = d;
    this.key = readFileSync(join(d.dir, 'admin.key'), 'utf8').trim();
  }

  async call(method, path, body) {
    const res = await this.d.fetch(path, {
      method, headers: { 'x-api-key': this.key, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const text = await res.text();
    return { status: res.status, json: text ? JSON.parse(text) : undefined };
  }

  async ensure() {
    const [vms, snapshots] = [(await this.call('GET', '/v1/vms')).json, (await this.call('GET', '/v1/snapshots')).json];
    for (const vm of vms) if (vm.id !== this.vm) await this.call('DELETE', `/v1/vms/${vm.id}`);
    for (const s of snapshots) if (s.id !== this.snapshot) await this.call('DELETE', `/v1/snapshots/${s.id}`);
    if (!vms.some((vm) => vm.id === this.vm && vm.status === 'running')) {
      if (this.vm) await this.call('DELETE', `/v1/vms/${this.vm}`);
      const made = await this.call('POST', '/v1/vms', { image: 'bash' });
      assert.ok([201, 202].includes(made.status), JSON.stringify(made));
      this.vm = made.json.id;
    }
    if (!snapshots.some((s) => s.id === this.snapshot)) {
      const made = await this.call('POST', '/v1/snapshots', { vmId: this.vm });
      this.snapshot = made.status === 201 ? made.json.id : undefined;
    }
  }

  // A real id for what a path names by `piece`; never a key's or an account's: they would be revoked.
  id(piece) {
    return { vms: this.vm, snapshots: this.snapshot }[piece];
  }

  async cookie() {
    const res = await this.d.post('/rds/auth/login', { apiKey: this.key });
    return res.headers.get('set-cookie')?.split(';')[0];
  }
}

// Errors of the server's own, which are in no row's responses.
function checkError(what, answer) {
  assert.match(answer.headers['content-type'] ?? '', /^application\/json/, what);
  const e = JSON.parse(answer.body);
  assert.equal(typeof (e.message ?? e.error), 'string', what);
}

// That a follower has left is noticed a moment later: one after the other, as here, can be too many at a time.
const isFollowersFull = (row, answer) => row.endsWith('/admin/events') && answer.status === 503 &&
  answer.headers['retry-after'] && /^\d+ follow the activity already$/.test(JSON.parse(answer.body).message);

// Sends it; what is wrong with the answer is noted, once for each row and status.
async function one(wire, request, row, { document, check, found, statuses }) {
  let answer = {};
  try {
    answer = await wire.send(request);
    assert.ok(answer.status < 500 || isFollowersFull(row, answer), 'a failure of the server');
    if (answer.status >= 400 && request.method !== 'HEAD') checkError('an error', answer);
    if (request.isPlain && !answer.isEndless)
      check(document, request.method, request.path, answer.status, answer.headers, answer.body);
  } catch (e) {
    const [head, body] = [JSON.stringify(request.head).slice(0, 500), String(request.body).slice(0, 300)];
    found.set(`${row} ${answer.status}`, `${e.message}\n${head} ${body}\n${answer.status} ${answer.body?.slice(0, 300)}\n`);
    wire.close();
  }
  statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
}

async function walk(url, document, fixtures, n, state) {
  const world = { fixtures, cookie: await fixtures.cookie() };
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      await fixtures.ensure();
      const row = { method: method.toUpperCase(), path, operation };
      const random = randomOf(`${seed} ${method} ${path}`);
      const requests = Array.from({ length: n }, () => malformed(random, document, row, world));
      await Promise.all(Array.from({ length: WORKERS }, async () => {
        const wire = new Wire(url);
        for (let r; (r = requests.pop()); ) await one(wire, r, `${method} ${path}`, { document, ...state });
        wire.close();
      }));
    }
  }
}

test('random malformed requests to every endpoint', async (t) => {
  const { checkAnswer } = await import('../lib/openapi_check.mjs');
  const state = { check: checkAnswer, found: new Map(), statuses: {} };
  let daemon;
  await withDaemon(quiet, async (d) => {
    daemon = d;
    await d.settled();
    const fixtures = new Fixtures(d);
    await fixtures.ensure();
    const document = await (await d.fetch('/openapi.json')).json();
    const pid = d.child.pid;
    await walk(d.url, document, fixtures, Math.ceil(each / 10), state); // whatever is made once is made now
    const before = { rss: rss(pid), fds: fds(pid) };
    await walk(d.url, document, fixtures, each, state);
    const mounted = await (await fetch(`${await d.rdsUrl()}/openapi.json`)).json();
    await walk(await d.rdsUrl(), mounted, fixtures, Math.ceil(each / 10), state);
    await fixtures.ensure();
    t.diagnostic(`answers by status: ${JSON.stringify(state.statuses)}`);
    assert.equal(state.found.size, 0, `HOLM_SEED=${seed}\n${[...state.found.values()].slice(0, 50).join('\n')}`);
    assert.equal((await d.fetch('/health')).status, 200);
    // Connections and VMs end a moment after their answers.
    while (fds(pid) > before.fds + 4) await new Promise((r) => setTimeout(r, 20));
    t.diagnostic(`rss ${before.rss >> 20} -> ${rss(pid) >> 20} MiB, fds ${before.fds} -> ${fds(pid)}`);
    assert.ok(isSanitized || rss(pid) < before.rss + RSS_GROWTH_MAX, `rss ${before.rss} -> ${rss(pid)}`);
  });
  assert.doesNotMatch(daemon.log, /Sanitizer|runtime error/); // a sanitized one tells what it lost when it ends
});
