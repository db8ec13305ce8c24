// SPDX-License-Identifier: Apache-2.0
// The run-dat-sheesh API through the whole daemon on the fake engine: what every endpoint answers, with
// every status that the documents name, and 200 broken requests to each. Rds holds each answer against the OpenAPI
// document.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { unlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { entry, tgz } from '../lib/tar.mjs';
import { Rds } from '../e2e/lib/rds.mjs';
import { dropData, makeData, withDaemon } from './daemon.mjs';

const SET = { 'rds.rate_limits': 'no', 'vms.image': 'bash' };
const withRds = (body, set = {}) => withDaemon({ set: { ...SET, ...set } }, (d) => body(new Rds(d), d));
const UNKNOWN = '00000000-0000-8000-8000-000000000000';

async function refused(rds, method, path, body, status, message, options) {
  const answer = await rds.request(method, path, body, options);
  assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`);
  assert.match(answer.json.message, message instanceof RegExp ? message : new RegExp(`^${RegExp.escape?.(message) ?? message.replace(/[()[\].*+?/]/g, '\\$&')}$`));
  return answer;
}

test('a VM from create to delete', () => withRds(async (rds) => {
  const vm = await rds.create({ name: 'lab', allowIps: ['10.0.0.0/8'], outboundInternet: true, unknown: [1], diskSizeMb: null });
  assert.match(vm.id, /^vm-[0-9a-f-]{36}$/);
  assert.deepEqual({ ...vm, id: 0, createdAt: 0, imageId: 0 }, {
    id: 0, name: 'lab', state: 'RUNNING', cpu: 1, memMb: 256, guestIp: '172.16.0.2', outboundInternet: true,
    allowIps: ['10.0.0.0/8'], createdAt: 0, provisionMode: 'boot', imageId: 0, diskSizeMb: vm.diskSizeMb,
  });
  assert.ok(Math.abs(Date.parse(vm.createdAt) - Date.now()) < 600_000);
  assert.deepEqual(await rds.get(vm.id), vm);
  assert.deepEqual(await rds.get(vm.id.slice(3)), vm);
  assert.deepEqual(await rds.call('GET', '/v1/vms'), [vm]);
  for (const [move, state] of [['stop', 'STOPPED'], ['stop', 'STOPPED'], ['start', 'RUNNING'], ['start', 'RUNNING']]) {
    const answer = await rds.request('POST', `/v1/vms/${vm.id}/${move}`);
    assert.deepEqual([answer.status, answer.body.length], [204, 0]);
    assert.equal((await rds.get(vm.id)).state, state);
  }
  assert.equal((await rds.delete(vm.id)).status, 204);
  await refused(rds, 'GET', `/v1/vms/${vm.id}`, undefined, 404, 'VM not found');
  assert.deepEqual(await rds.call('GET', '/v1/vms'), []);
}));

// Sends the headers, and the body when the server asks for it and `then` is over.
async function sendLate(rds, method, path, body, then) {
  const rq = httpRequest(rds.base + path, { method, headers: { 'x-api-key': rds.key, expect: '100-continue', 'content-length': body.length } });
  rq.flushHeaders();
  await once(rq, 'continue');
  await then();
  rq.end(body);
  const [answer] = await once(rq, 'response');
  return { status: answer.statusCode, json: JSON.parse(Buffer.concat(await answer.toArray())) };
}

test('a VM that is deleted while files for it come', () => withRds(async (rds) => {
  const { id } = await rds.create();
  const archive = tgz(entry('f', 'x'));
  const answer = await sendLate(rds, 'POST', `/v1/vms/${id}/files/upload?dest=/workspace`, archive, () => rds.delete(id));
  assert.deepEqual(answer, { status: 404, json: { message: 'VM not found' } });
}));

test('what other clients send with requests without a body', () => withRds(async (rds) => {
  const { id } = await rds.create();
  for (const headers of [{}, { 'content-type': 'application/json' }, { 'content-type': 'text/plain' }]) {
    assert.equal((await rds.request('POST', `/v1/vms/${id}/stop`, '', { headers })).status, 204);
    assert.equal((await rds.request('POST', `/v1/vms/${id}/start`, '', { headers })).status, 204);
  }
  assert.equal((await rds.request('POST', `/v1/vms/${id}/snapshots`, '', { headers: { 'content-type': 'application/json' } })).status, 201);
  assert.equal((await rds.request('POST', `/v1/vms/${id}/snapshots`, {})).status, 201);
}));

test('a VM that another API paused or suspended', () => withRds(async (rds, d) => {
  const { id } = await rds.create();
  for (const move of ['pause', 'suspend']) {
    const answer = await d.fetch(`/v1/vms/${id.slice(3)}/${move}`, { method: 'POST', headers: { 'x-api-key': rds.key } });
    assert.equal(answer.status, 200, await answer.text());
    assert.equal((await rds.get(id)).state, 'PAUSED');
    await refused(rds, 'POST', `/v1/vms/${id}/exec`, { cmd: 'id' }, 409, 'VM must be RUNNING to exec (state=PAUSED)');
    await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, { code: '' }, 409, 'VM must be RUNNING to run-ts (state=PAUSED)');
    await refused(rds, 'POST', `/v1/vms/${id}/snapshots`, undefined, 409, 'VM must be RUNNING to snapshot (state=PAUSED)');
    assert.equal((await rds.request('POST', `/v1/vms/${id}/start`)).status, 204);
    assert.equal((await rds.get(id)).state, 'RUNNING');
  }
}));

// This API's stop waits for 30 s, which is the native one's to say.
test('a guest that ignores the power button is turned off, and starts again', () => withDaemon(
  { set: SET, faults: 'boot.power=ignore,restore.power=ignore' }, async (d) => {
    const rds = new Rds(d), { id } = await rds.create();
    await rds.exec(id, 'put /workspace/f disk');
    const stop = await d.post(`/v1/vms/${id.slice(3)}/stop`, { timeoutSec: 1 }, { 'x-api-key': rds.key });
    assert.equal(stop.status, 200, await stop.text());
    assert.equal((await rds.get(id)).state, 'STOPPED');
    await rds.call('POST', `/v1/vms/${id}/start`, undefined, 204);
    assert.equal((await rds.exec(id, 'file /workspace/f')).stdout, 'disk\n');
  }));

test('what a create may not ask for', () => withRds(async (rds) => {
  const wrong = (more, message, status = 400) => refused(rds, 'POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [], ...more }, status, message);
  for (const cpu of [0, -1, 9, 1.5, 1e9]) await wrong({ cpu }, 'Invalid cpu (maxCpu=8)');
  for (const memMb of [0, 127, 8193]) await wrong({ memMb }, 'Invalid memMb (maxMemMb=8192)');
  await wrong({ cpu: '1' }, /"cpu"/);
  await wrong({ cpu: null }, /"cpu"/);
  await wrong({ allowIps: 'x' }, /"allowIps"/);
  await wrong({ allowIps: ['x'] }, /^allowIps\[0\] must be/);
  await wrong({ allowIps: [1] }, /allowIps\[0\]/);
  await wrong({ allowIps: Array(65).fill('10.0.0.0/8') }, 'Too many allowIps (maxAllowIps=64)');
  await wrong({ outboundInternet: 'yes' }, /"outboundInternet"/);
  await wrong({ snapshotId: 'x' }, 'Invalid snapshot id');
  await wrong({ snapshotId: `snap-${UNKNOWN}` }, 'Snapshot not found', 404);
  await refused(rds, 'POST', '/v1/vms', '{', 400, /JSON/, { headers: { 'content-type': 'application/json' } });
  await refused(rds, 'POST', '/v1/vms', 'x', 415, /Content-Type/, { headers: { 'content-type': 'text/plain' } });
  assert.deepEqual(await rds.call('GET', '/v1/vms'), []);
}));

test('so many VMs and no more, also of those that come at the same time', () => withRds(async (rds) => {
  const answers = await Promise.all(Array.from({ length: 8 }, () => rds.request('POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [] })));
  const full = answers.filter((a) => a.status !== 201);
  assert.equal(full.length, 5);
  for (const answer of full) {
    assert.deepEqual([answer.status, answer.json], [429, { message: 'VM quota exceeded (maxVms=3)' }]);
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
  }
  const vms = await rds.call('GET', '/v1/vms');
  assert.equal(vms.length, 3);
  await rds.delete(vms[0].id);
  await rds.create();
}, { 'rds.vms_max': 3 }));

// A host with room for one: the second waits, and is there when the first has gone.
test('a create is answered once its VM runs', () => withRds(async (rds) => {
  const first = await rds.create();
  const second = rds.create();
  let state;
  while (state !== 'STARTING') state = (await rds.call('GET', '/v1/vms')).at(1)?.state;
  await rds.delete(first.id);
  assert.equal((await second).state, 'RUNNING');
}, { 'limits.vms_max': 1, 'pool.vms': 0, 'pool.default': 0 }));

test('a client that does not wait for its VM leaves none', () => withRds(async (rds) => {
  const first = await rds.create();
  const gone = new AbortController();
  const second = rds.request('POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [] }, { signal: gone.signal });
  const listed = async () => (await rds.call('GET', '/v1/vms')).length;
  while (await listed() < 2);
  gone.abort();
  await assert.rejects(second, { name: 'AbortError' });
  while (await listed() > 1);
  assert.equal((await rds.get(first.id)).state, 'RUNNING');
}, { 'limits.vms_max': 1, 'pool.vms': 0, 'pool.default': 0 }));

test('nor does one that goes while its VM starts', { timeout: 60_000 }, async () => {
  const dir = makeData(), fifo = join(dir, 'wait');
  try {
    await withDaemon({ dir, faults: `wait=restore.end:${fifo}`, set: { ...SET, 'pool.vms': 0, 'pool.default': 0 } }, async (d) => {
      await d.settled();
      const rds = new Rds(d);
      execFileSync('mkfifo', [fifo]);
      const rq = httpRequest(`${rds.base}/v1/vms`, { method: 'POST', agent: false, headers: { 'x-api-key': rds.key, 'content-type': 'application/json' } });
      const closed = new Promise((done) => { rq.on('close', done); });
      rq.on('error', () => {}).end(JSON.stringify({ cpu: 1, memMb: 256, allowIps: [] }));
      const held = await open(fifo, 'w'); // once the engine is there
      unlinkSync(fifo);
      rq.destroy();
      await closed;
      assert.equal((await rds.call('GET', '/v1/vms')).length, 1);
      await held.close();
      while ((await rds.call('GET', '/v1/vms')).length);
    });
  } finally {
    dropData(dir);
  }
});

test('commands', () => withRds(async (rds) => {
  const { id } = await rds.create();
  assert.deepEqual(await rds.exec(id, 'print hello\neprint oops\nexit 3'), { exitCode: 3, stdout: 'hello\n', stderr: 'oops\n' });
  assert.deepEqual(await rds.exec(id, 'pwd\nid'), { exitCode: 0, stdout: '/workspace\nuid=1000 gid=1000\n', stderr: '' });
  assert.equal((await rds.exec(id, 'pwd', { cwd: '/tmp' })).stdout, '/tmp\n');
  assert.equal((await rds.exec(id, 'pwd', { cwd: '/nowhere' })).stdout, '/workspace\n');
  assert.equal((await rds.exec(id, 'env A\nenv HOME', { env: { A: 'b' } })).stdout, 'b\n/home/user\n');
  assert.equal((await rds.exec(id, 'signal 9')).exitCode, 137);
  assert.deepEqual(await rds.exec(id, 'print first\nhang', { timeoutMs: 50 }), { exitCode: -1, stdout: 'first\n', stderr: '\nTimeout exceeded' });
  assert.equal((await rds.exec(id, 'flood 3000000')).stdout.length, 1 << 20);
  await refused(rds, 'POST', `/v1/vms/${id}/exec`, { cmd: 'x', timeoutMs: 120001 }, 400, 'timeoutMs exceeds maxExecTimeoutMs=120000');
  await refused(rds, 'POST', `/v1/vms/${id}/exec`, { cmd: 'x', env: { '': '1' } }, 400, /^Invalid env var name/);
  await refused(rds, 'POST', `/v1/vms/${id}/exec`, {}, 400, 'missing required field "cmd"');
  await refused(rds, 'POST', `/v1/vms/${id}/exec`, { cmd: 'x'.repeat((1 << 20) + 1) }, 413, /"cmd"/);
  await refused(rds, 'POST', `/v1/vms/${id}/exec`, { cmd: 'x'.repeat(25 << 20) }, 413, 'Body too large');
  await refused(rds, 'POST', `/v1/vms/${id}/exec`, { cmd: 'die' }, 502, /./);
}));

test('a command ends with its client', () => withRds(async (rds) => {
  const { id } = await rds.create();
  const gone = new AbortController();
  const run = rds.request('POST', `/v1/vms/${id}/exec`, { cmd: 'set begun yes\nticker 10 ticks\nhang' }, { signal: gone.signal });
  while ((await rds.exec(id, 'get begun')).stdout !== 'yes\n');
  gone.abort();
  await assert.rejects(run, { name: 'AbortError' });
  const stats = () => rds.daemon.fetch(`/v1/vms/${id.slice(3)}/stats`, { headers: { 'x-api-key': rds.key } }).then((a) => a.json());
  while ((await stats()).commands > 0);
}));

test('run-ts as far as there is no Deno', () => withRds(async (rds, d) => {
  const { id } = await rds.create();
  await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, { code: '1' }, 409, "the VM's image has no deno");
  await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, {}, 400, 'give either code or path');
  await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, { code: '', path: 'x.ts' }, 400, 'give either code or path');
  await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, { path: '/etc/x.ts' }, 400, 'path must be of a file in /workspace');
  await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, { code: '', env: ['x'] }, 400, 'Invalid env entry (expected KEY=value): x');
  await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, { code: '', timeoutMs: 120001 }, 400, 'timeoutMs exceeds maxRunTsTimeoutMs=120000');
  await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, { code: '', denoFlags: Array(33).fill('-q') }, 413, /"denoFlags"/);
  await refused(rds, 'POST', `/v1/vms/${id}/run-ts`, { code: 'x'.repeat((1 << 20) + 1) }, 413, /"code"/);
  // A Deno that says what the real one would.
  const put = await d.fetch(`/v1/vms/${id.slice(3)}/files?path=/workspace/deno`, {
    method: 'PUT', headers: { 'x-api-key': rds.key }, body: 'pwd\nenv K\nargs\neprint error: SyntaxError: bad\neprint     at file:///x\nexit 1\n',
  });
  assert.equal(put.status, 201);
  const { stdout, ...rest } = await rds.runTs(id, 'ignored', { env: ['K=v'], args: ['last'] });
  const lines = stdout.trim().split('\n');
  assert.deepEqual([lines[0], lines[1], lines.at(-1)], ['/workspace', 'v', 'last']);
  assert.ok(lines.includes('--allow-env=K') && !lines.includes('--allow-net'), stdout);
  assert.deepEqual(rest, {
    exitCode: 1, stderr: 'error: SyntaxError: bad\n    at file:///x\n',
    error: { name: 'SyntaxError', message: 'bad', stack: 'SyntaxError: bad\n    at file:///x\n' },
  });
}));

test('logs', () => withRds(async (rds) => {
  const { id } = await rds.create();
  // What the guest writes before its monitor has taken the daemon's connection is lost, as with a cable.
  do await rds.exec(id, 'console from the guest');
  while (!(await rds.call('GET', `/v1/vms/${id}/logs?type=firecracker.stdout.log`)).lines.includes('from the guest'));
  await rds.call('POST', `/v1/vms/${id}/stop`, undefined, 204);
  const log = await rds.call('GET', `/v1/vms/${id}/logs`);
  assert.equal(log.type, 'firecracker.log');
  assert.equal(log.truncated, false);
  assert.match(log.lines[0], /^\S+Z created .*image=bash/);
  assert.match(log.lines.at(-1), / stopped$/);
  assert.ok(Date.parse(log.updatedAt));
  const tail = await rds.call('GET', `/v1/vms/${id}/logs?type=firecracker.log&tail=1`);
  assert.deepEqual([tail.lines, tail.truncated], [[log.lines.at(-1)], true]);
  assert.ok(Array.isArray((await rds.call('GET', `/v1/vms/${id}/logs?type=firecracker.stderr.log&tail=99999`)).lines));
  await refused(rds, 'GET', `/v1/vms/${id}/logs?type=../holm.db`, undefined, 400, 'Invalid log type');
  await refused(rds, 'GET', `/v1/vms/${id}/logs?tail=many`, undefined, 400, /"tail"/);
}));

test('snapshots', () => withRds(async (rds) => {
  const vm = await rds.create();
  await rds.exec(vm.id, 'set here yes');
  const snapshot = await rds.call('POST', `/v1/vms/${vm.id}/snapshots`, { name: 'warm' });
  assert.match(snapshot.id, /^snap-[0-9a-f-]{36}$/);
  assert.deepEqual({ ...snapshot, createdAt: 0, sizeBytes: 0, imageId: 0 }, {
    id: snapshot.id, vmId: vm.id, sourceVmId: vm.id, kind: 'vm', createdAt: 0, cpu: 1, memMb: 256, imageId: 0, hasDisk: true, name: 'warm', sizeBytes: 0,
  });
  assert.deepEqual(await rds.call('GET', '/v1/snapshots'), [snapshot]);
  const copy = await rds.create({ snapshotId: snapshot.id });
  assert.deepEqual([copy.provisionMode, copy.snapshotId], ['snapshot', snapshot.id]);
  assert.equal((await rds.exec(copy.id, 'get here')).stdout, 'yes\n');
  await refused(rds, 'POST', '/v1/vms', { cpu: 2, memMb: 256, allowIps: [], snapshotId: snapshot.id }, 400, 'Snapshot cpu/mem mismatch: snapshot=1/256 requested=2/256');
  await rds.call('POST', `/v1/vms/${vm.id}/stop`, undefined, 204);
  await refused(rds, 'POST', `/v1/vms/${vm.id}/snapshots`, undefined, 409, 'VM must be RUNNING to snapshot (state=STOPPED)');
  assert.equal((await rds.request('DELETE', `/v1/snapshots/${snapshot.id}`)).status, 204);
  await refused(rds, 'DELETE', `/v1/snapshots/${snapshot.id}`, undefined, 404, 'Snapshot not found');
}));

test("Holm's own images stay, whoever asks", () => withRds(async (rds, d) => {
  await d.settled();
  const native = (path, body) => d.post(path, body, { 'x-api-key': rds.key }).then((r) => r.json());
  const { id: accountId } = await native('/v1/accounts', { name: 'ann' });
  const ann = new Rds(d, { key: (await native('/v1/keys', { accountId })).key });
  const images = await rds.call('GET', '/v1/images');
  for (const { id, name } of images)
    for (const who of [rds, ann]) await refused(who, 'DELETE', `/v1/images/${id}`, undefined, 403, `image ${name} is Holm's own and cannot be deleted`);
  assert.deepEqual(await rds.call('GET', '/v1/images'), images);
}));

const ENDPOINTS = [
  ['POST', '/v1/vms'], ['GET', '/v1/vms'], ['GET', '/v1/vms/ID'], ['DELETE', '/v1/vms/ID'], ['POST', '/v1/vms/ID/start'],
  ['POST', '/v1/vms/ID/stop'], ['GET', '/v1/vms/ID/logs'], ['POST', '/v1/vms/ID/exec'], ['POST', '/v1/vms/ID/run-ts'],
  ['POST', '/v1/vms/ID/snapshots'], ['GET', '/v1/snapshots'], ['DELETE', '/v1/snapshots/ID'], ['GET', '/v1/images'], ['POST', '/v1/images'],
  ['GET', '/v1/images/ID'], ['DELETE', '/v1/images/ID'], ['PUT', '/v1/images/ID/kernel'], ['PUT', '/v1/images/ID/rootfs'],
  ['POST', '/v1/images/ID/set-default'],
];

test('without a key, or with a wrong one, nothing is told', () => withRds(async (rds, d) => {
  for (const key of ['', 'holm_wrong', 'rds_wrong']) {
    const other = new Rds(d, { key });
    for (const [method, path] of ENDPOINTS) {
      const { status, json } = await other.request(method, path.replace('ID', UNKNOWN));
      assert.deepEqual([status, json], [401, { message: 'Unauthorized' }], `${method} ${path}`);
    }
  }
  const bearer = await rds.request('GET', '/v1/vms', undefined, { headers: { 'x-api-key': '', authorization: `Bearer ${rds.key}` } });
  assert.ok([200, 401].includes(bearer.status));
  const alone = await fetch(`${rds.base}/v1/vms`, { headers: { authorization: `Bearer ${rds.key}` } });
  assert.equal(alone.status, 200);
}));

test('what is no id, and what is unknown', () => withRds(async (rds) => {
  const nouns = { vms: 'VM', snapshots: 'Snapshot', images: 'Image' };
  for (const [method, path] of ENDPOINTS.filter(([, p]) => p.includes('ID'))) {
    const noun = nouns[path.split('/')[2]];
    const body = path.endsWith('/exec') ? { cmd: 'id' } : path.endsWith('/run-ts') ? { code: '' } : method === 'PUT' ? 'x' : undefined;
    for (const id of ['zzz', '1', `x-${UNKNOWN}`, `${UNKNOWN}0`, '%00', '..%2f..']) {
      const { status, json } = await rds.request(method, path.replace('ID', id), body);
      assert.equal(status, 400, `${method} ${path} ${id}`);
      assert.ok(json.message);
    }
    await refused(rds, method, path.replace('ID', UNKNOWN), body, 404, `${noun} not found`);
  }
}));

// Deterministic, so that a failure can be repeated.
function* random(seed) {
  for (let x = seed; ; ) {
    x = (x * 1103515245 + 12345) % 2147483648;
    yield x;
  }
}

const WORDS = ['cpu', 'memMb', 'allowIps', 'cmd', 'code', 'path', 'args', 'env', 'denoFlags', 'timeoutMs', 'name', 'description', 'cwd', 'x'];

function value(r, depth = 0) {
  const n = r.next().value % (depth > 3 ? 9 : 12);
  const all = [null, true, -1, 1e308, '', '\u0000', '../../etc', 'x'.repeat(5000), '\ud800', [], {}, 'K=v'];
  if (n === 9) return Array.from({ length: r.next().value % 5 }, () => value(r, depth + 1));
  if (n === 10) return Object.fromEntries(Array.from({ length: r.next().value % 6 }, () => [WORDS[r.next().value % WORDS.length], value(r, depth + 1)]));
  return all[n];
}

// Broken JSON, broken paths, values of wrong types: 4xx, and the daemon goes on as before.
test('200 broken requests to each endpoint', { timeout: 240_000 }, () => withRds(async (rds, d) => {
  const { id } = await rds.create();
  for (const [i, [method, path]] of ENDPOINTS.entries()) {
    if (method === 'GET' && !path.includes('ID')) continue; // nothing in it can be broken but its query, which is not looked at
    const r = random(i + 1);
    await Promise.all(Array.from({ length: 200 }, async () => {
      const kind = r.next().value % 3, junk = Buffer.from(Array.from({ length: 24 }, () => r.next().value % 256)).toString('latin1');
      const target = path.replace('ID', kind === 1 ? encodeURIComponent(junk) || 'x' : path.includes('/vms/') && kind ? id.replace('vm-', 'vm-x') : `${id.slice(3, -4)}${r.next().value % 10000}`);
      let body;
      if (method === 'POST' || method === 'PUT') {
        const text = JSON.stringify(value(r) ?? 1);
        body = kind === 2 ? text.slice(0, -1) || '{' : text === '{}' ? '[' : `{"cpu":"x","memMb":"x","cmd":7,"code":7,"name":7,"description":7,"more":${text}}`;
      }
      const answer = await rds.request(method, target, body, { headers: { 'content-type': 'application/json' } });
      assert.ok(answer.status >= 400 && answer.status < 500, `${method} ${target} ${body}: ${answer.status} ${answer.body}`);
      assert.ok(answer.json?.message, `${method} ${target} ${body}: ${answer.body}`);
    }));
  }
  assert.equal((await rds.get(id)).state, 'RUNNING');
  assert.equal((await rds.call('GET', '/v1/vms')).length, 1);
  assert.doesNotMatch(d.log, / error /);
}));
