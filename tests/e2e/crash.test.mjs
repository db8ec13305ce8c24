// SPDX-License-Identifier: Apache-2.0
// The daemon ended in the middle of work: by SIGTERM nothing is left; by SIGKILL the next start
// adopts or reaps what is.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Daemon, until } from './lib/holm.mjs';
import { startOf } from './lib/host.mjs';

const SLEEPER = { language: 'bash', code: 'echo awake; sleep 250', timeout: 280 };

// Starts so many long runs and waits until their VMs are there. Their answers never matter.
async function occupy(daemon, count) {
  const before = daemon.vms().length;
  const requests = Array.from({ length: count }, () => daemon.request('POST', '/api/v1/execute', SLEEPER).catch((e) => e));
  await until(async () => daemon.vms().length >= before + count && daemon.monitors().length >= count, `${count} busy VMs`);
  return requests;
}

async function checkService(daemon) {
  await daemon.ready();
  assert.equal((await daemon.execute('bash', 'echo alive', { timeout: 60 })).stdout, 'alive\n');
}

test('kill -9 in the middle of executions: the next start reaps them and works', async (t) => {
  const first = await Daemon.start();
  t.after(() => first.kill9());
  await first.ready();
  await occupy(first, 3);
  const monitors = first.monitors();
  assert.ok(monitors.length >= 3);
  assert.equal(await first.kill9(), 'SIGKILL');

  const second = await Daemon.start();
  t.after(() => second.stop());
  await checkService(second);
  await until(() => monitors.every((p) => startOf(p.pid) !== p.start), 'the end of the old monitors');
  assert.equal(await second.metric('holm_vms_reaped_total'), 3);
  await second.idle();
  first.seen.forEach((id) => second.seen.add(id));
  assert.deepEqual(second.leftovers(), []);
  assert.equal(await second.stop(), 0);
  assert.deepEqual(second.leftovers(), []);
});

test('kill -9 with idle VMs: the next start adopts them, and they work', async (t) => {
  const set = { 'pool.bash': 2 };
  const first = await Daemon.start({ set });
  t.after(() => first.kill9());
  await first.ready();
  await first.pooled('bash', 2);
  const monitors = first.monitors();
  assert.equal(await first.kill9(), 'SIGKILL');
  assert.ok(monitors.every((p) => startOf(p.pid) === p.start), 'VMs outlive the daemon');

  const second = await Daemon.start({ set });
  t.after(() => second.stop());
  assert.equal(await second.metric('holm_vms_adopted_total'), 2, second.log);
  await checkService(second);
  await checkService(second);
  assert.equal(await second.metric('holm_pool_hits_total'), 2);
  assert.equal(await second.stop(), 0);
  assert.deepEqual(second.leftovers(), []);
});

test('kill -9 again and again at any moment leaks nothing', async (t) => {
  const set = { 'pool.bash': 2 };
  for (let round = 0; round < 4; round++) {
    const daemon = await Daemon.start({ set });
    t.after(() => daemon.kill9());
    await daemon.ready();
    const requests = Array.from({ length: 3 }, () => daemon.request('POST', '/api/v1/execute', SLEEPER).catch((e) => e));
    // Each round a little later: while starting, while running, while being replaced.
    await until(() => daemon.vms().length > round, 'some VMs');
    await daemon.kill9();
    await Promise.all(requests);
  }
  const last = await Daemon.start({ set: { 'pool.bash': 0 } });
  t.after(() => last.stop());
  await checkService(last);
  await last.idle();
  assert.equal(await last.stop(), 0);
  assert.deepEqual(last.leftovers(), []);
});

test('SIGTERM lets running requests end, and leaves nothing', async (t) => {
  const daemon = await Daemon.start({ set: { 'server.shutdown_grace_s': 60 } });
  t.after(() => daemon.stop());
  await daemon.ready();
  const request = daemon.execute('bash', 'echo one; sleep 2; echo two', { timeout: 60 });
  await until(async () => daemon.vms().length > 0, 'its VM');
  daemon.process.kill('SIGTERM');
  const answer = await request;
  assert.equal(answer.stdout, 'one\ntwo\n');
  assert.equal(answer.exit_code, 0);
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

test('SIGTERM at the end of the grace answers requests that do not end', async (t) => {
  const daemon = await Daemon.start({ set: { 'server.shutdown_grace_s': 1 } });
  t.after(() => daemon.stop());
  await daemon.ready();
  const [request] = await occupy(daemon, 1);
  daemon.process.kill('SIGTERM');
  const answer = await request;
  assert.equal(answer.status, 503, String(answer.text ?? answer));
  assert.ok(answer.json.error);
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

test('a second daemon on the same data directory is refused, the first goes on', async (t) => {
  const first = await Daemon.start();
  t.after(() => first.stop());
  await assert.rejects(Daemon.start(), /another holmd uses/);
  assert.equal((await first.get('/health')).status, 200);
  assert.equal(await first.stop(), 0);
});

test('a monitor that is killed is one failed request, no more', async (t) => {
  const daemon = await Daemon.start();
  t.after(() => daemon.stop());
  await daemon.ready();
  const [request] = await occupy(daemon, 1);
  await until(() => daemon.monitors().some((p) => /qemu/.test(p.command)), 'its monitor');
  daemon.monitors().forEach((p) => process.kill(p.pid, 'SIGKILL'));
  const answer = await request;
  assert.ok([502, 503].includes(answer.status), String(answer.text ?? answer));
  await daemon.idle();
  await checkService(daemon);
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});
