// SPDX-License-Identifier: Apache-2.0
// Too much at once, or no room: a clear answer, and never half a VM.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, DATA, UID_FIRST, UID_COUNT, until } from './lib/holm.mjs';

test('beyond vms_max: 503 with Retry-After, and every other request is answered', async (t) => {
  const daemon = await Daemon.start({ set: { 'limits.vms_max': 2, 'limits.run_queue_max': 2 } });
  t.after(() => daemon.stop());
  // Preparing images takes VMs too.
  await daemon.ready();
  await until(async () => (await daemon.metric('holm_vms')) === 0, 'no VM at work');
  const answers = await Promise.all(Array.from({ length: 12 }, () => daemon.request('POST', '/api/v1/execute',
    { language: 'bash', code: 'sleep 1; echo done', timeout: 60 })));
  const ran = answers.filter((answer) => answer.status === 200);
  const refused = answers.filter((answer) => answer.status === 503);
  assert.equal(ran.length + refused.length, 12, answers.map((a) => a.status).join(' '));
  assert.ok(ran.length >= 2);
  assert.ok(refused.length >= 1);
  ran.forEach((answer) => assert.equal(answer.json.stdout, 'done\n'));
  refused.forEach((answer) => {
    assert.match(answer.headers['retry-after'], /^[1-9]\d*$/);
    assert.ok(answer.json.error);
  });
  await daemon.idle();
  assert.equal((await daemon.execute('bash', 'echo again')).stdout, 'again\n');
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

test('beyond memory_max_mib likewise', async (t) => {
  const daemon = await Daemon.start({ set: { 'limits.memory_max_mib': 600, 'limits.run_queue_max': 0 } });
  t.after(() => daemon.stop());
  await daemon.ready();
  await until(async () => (await daemon.metric('holm_vms')) === 0, 'no VM at work');
  const answers = await Promise.all(Array.from({ length: 6 }, () => daemon.request('POST', '/api/v1/execute',
    { language: 'bash', code: 'sleep 1', timeout: 60 })));
  const statuses = answers.map((answer) => answer.status);
  assert.ok(statuses.includes(200) && statuses.includes(503), statuses.join(' '));
  assert.ok(statuses.every((status) => [200, 503].includes(status)), statuses.join(' '));
});

test('holm run waits for its turn', async (t) => {
  const daemon = await Daemon.start({ set: { 'limits.vms_max': 1 } });
  t.after(() => daemon.stop());
  await daemon.ready();
  await until(async () => (await daemon.metric('holm_vms')) === 0, 'no VM at work');
  const runs = await Promise.all(Array.from({ length: 3 }, (_, i) => daemon.holm(['run', 'bash', '-c', `echo ${i}`])));
  assert.deepEqual(runs.map((run) => [run.code, run.stdout]), [[0, '0\n'], [0, '1\n'], [0, '2\n']]);
});

// A data directory on a file system of a few MiB. The templates are the shared ones.
function smallData(t, mib) {
  const data = join(process.env.HOLM_E2E_TMP, 'small');
  mkdirSync(data, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m,mode=0755`, 'holm-e2e-small', data]);
  t.after(() => {
    execFileSync('umount', ['-l', data]);
    rmSync(data, { recursive: true });
  });
  for (const name of ['images', 'kernel']) symlinkSync(join(DATA, name), join(data, name));
  mkdirSync(join(data, 'templates'));
  return data;
}

test('no room for templates: the language says why, the daemon lives', async (t) => {
  const data = smallData(t, 24);
  const daemon = await Daemon.start({ data, uidFirst: UID_FIRST + UID_COUNT });
  t.after(() => daemon.stop());
  const failed = await until(async () => {
    const { json } = await daemon.get('/api/v1/languages/bash');
    return json.status === 'failed' && json;
  }, 'bash to fail');
  assert.match(failed.detail, /space/i);
  const answer = await daemon.request('POST', '/api/v1/execute', { language: 'bash', code: 'echo' });
  assert.ok([502, 503].includes(answer.status), answer.text);
  assert.match(answer.json.error, /space/i);
  assert.equal((await daemon.get('/health')).status, 200);
  assert.deepEqual(readdirSync(join(data, 'templates')).filter((name) => !name.endsWith('.json')), []);
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

test('a disk that fills up later: clear errors, and it works again when there is room', async (t) => {
  const data = smallData(t, 900);
  const daemon = await Daemon.start({ data, uidFirst: UID_FIRST + UID_COUNT });
  t.after(() => daemon.stop());
  await daemon.ready(['bash']);
  const filler = join(data, 'filler');
  await until(async () => (await daemon.metric('holm_vms')) === 0, 'no VM at work');
  try {
    for (let i = 0; i < 64; i++) writeFileSync(filler, Buffer.alloc(32 << 20), { flag: 'a' });
  } catch (error) {
    assert.equal(error.code, 'ENOSPC');
  }
  const answer = await daemon.request('POST', '/api/v1/execute', { language: 'bash', code: 'echo x; echo y >/work/y; sync', timeout: 20 });
  // With no room the VM cannot start, or its disk fails under it; both are told, neither hangs.
  assert.ok([200, 500, 502, 503].includes(answer.status), answer.text);
  if (answer.status !== 200) assert.ok(answer.json.error.length > 10, answer.text);
  assert.equal((await daemon.get('/health')).status, 200);
  rmSync(filler);
  await daemon.idle();
  assert.equal((await daemon.execute('bash', 'echo works >/work/f; cat /work/f')).stdout, 'works\n');
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});
