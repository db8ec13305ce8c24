// SPDX-License-Identifier: Apache-2.0
// Uploaded images through the whole daemon on the fake engine: every status of their endpoints, and what a daemon
// that is killed in the middle leaves.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { idOf } from './crash.mjs';
import { Daemon, dropData, makeData, withDaemon } from './daemon.mjs';
import { makeKernel, makeRootfs } from './image_files.mjs';

const adminKey = (d) => readFileSync(join(d.dir, 'admin.key'), 'utf8').trim();

class Client {
  constructor(d, key = adminKey(d)) {
    this.d = d;
    this.key = key;
  }

  // JSON of an answer of this status; `body` is an object or bytes.
  async call(method, path, body, status = 200) {
    const raw = Buffer.isBuffer(body);
    const res = await this.d.fetch(path, {
      method,
      headers: { 'x-api-key': this.key, ...(body && { 'content-type': raw ? 'application/octet-stream' : 'application/json' }) },
      body: raw || !body ? body : JSON.stringify(body),
    });
    const text = await res.text();
    assert.equal(res.status, status, `${method} ${path}: ${res.status} ${text}`);
    return JSON.parse(text);
  }

  async make(name = 'mine') {
    const { id } = await this.call('POST', '/v1/images', { name, description: 'for a test' }, 201);
    return id;
  }

  put(id, part, bytes, status) {
    return this.call('PUT', `/v1/images/${id}/${part}`, bytes, status);
  }

  async makeWhole(name) {
    const id = await this.make(name);
    await this.put(id, 'kernel', makeKernel());
    await this.put(id, 'rootfs', makeRootfs());
    return id;
  }

  async launch(body) {
    const vm = await this.call('POST', '/v1/vms', body, 202);
    return this.ended(vm.id, 'provisioning');
  }

  // Asks until it is no more in this state.
  async ended(id, state) {
    for (;;) {
      const vm = await this.call('GET', `/v1/vms/${id}`);
      if (vm.status !== state) return vm;
      await new Promise((r) => setTimeout(r, 10));
    }
  }
}

const files = (d, id) => (existsSync(join(d.dir, 'images', idOf(id))) ? readdirSync(join(d.dir, 'images', idOf(id))).sort() : []);

test('from two uploads to VMs, and back', () => withDaemon({}, async (d) => {
  await d.settled();
  const c = new Client(d);
  const id = await c.make();
  const refused = await c.call('POST', '/v1/vms', { image: id }, 409);
  assert.match(refused.message, /no kernel and no root file system/);
  assert.equal((await c.put(id, 'kernel', makeKernel())).state, 'missing');
  const whole = await c.put(id, 'rootfs', makeRootfs());
  assert.deepEqual([whole.state, whole.hasKernel, whole.hasRootfs, whole.diskGiB], ['ready', true, true, 1 / 1024]);
  const vm = await c.launch({ image: id });
  assert.deepEqual([vm.status, vm.image, vm.sourceName], ['running', id, 'mine']);
  assert.equal((await c.call('POST', '/v1/vms', { image: 'mine' }, 201)).image, id); // now there is a template
  const inUse = await c.call('DELETE', `/v1/images/${id}`, undefined, 409);
  assert.match(inUse.message, /2 VMs and 0 snapshots/);
  for (const v of await c.call('GET', '/v1/vms')) await c.call('DELETE', `/v1/vms/${v.id}`);
  await c.call('DELETE', `/v1/images/${id}`);
  assert.deepEqual(files(d, id), []);
  assert.deepEqual(readdirSync(join(d.dir, 'templates')).filter((n) => n.startsWith(idOf(id))), []);
  await c.call('GET', `/v1/images/${id}`, undefined, 404);
  await c.call('POST', '/v1/vms', { image: id }, 400);
  const events = (await c.call('GET', '/rds/v1/admin/activity')).filter((e) => e.type.startsWith('image.'));
  assert.deepEqual(events.map((e) => [e.type, e.meta.part]).reverse(), [['image.created', undefined],
    ['image.uploaded', 'kernel'], ['image.uploaded', 'rootfs'], ['image.deleted', undefined]]);
}));

test('what is no kernel or file system is refused, and what was there stays', () => withDaemon({}, async (d) => {
  const c = new Client(d);
  const id = await c.makeWhole();
  const before = await c.call('GET', `/v1/images/${id}`);
  for (const part of ['kernel', 'rootfs']) {
    const gz = Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(5000)]);
    assert.match((await c.put(id, part, gz, 400)).message, /gzip/);
    await c.put(id, part, Buffer.alloc(5000), 400);
    await c.put(id, part, Buffer.alloc(0), 400);
  }
  assert.deepEqual(await c.call('GET', `/v1/images/${id}`), before);
  assert.deepEqual(files(d, id), ['rootfs.ext4', 'vmlinuz']);
}));

test('a body that is more than the file is refused, whatever else it is called is taken', () => withDaemon({}, async (d) => {
  const c = new Client(d);
  const id = await c.make();
  const put = async (path, type) => {
    const res = await d.fetch(path, { method: 'PUT', headers: { 'x-api-key': c.key, 'content-type': type }, body: makeKernel() });
    return [res.status, await res.text()];
  };
  for (const path of [`/v1/images/${id}/kernel`, `/rds/v1/images/${id}/kernel`]) {
    for (const type of ['application/json', 'multipart/form-data; boundary=x']) {
      const [status, text] = await put(path, type);
      assert.equal(status, 415, text);
      assert.match(text, /application.{1,2}octet-stream/);
    }
    assert.deepEqual(files(d, id), []);
  }
  for (const type of ['application/x-www-form-urlencoded', 'application/octet-stream', 'x/y'])
    assert.equal((await put(`/v1/images/${id}/kernel`, type))[0], 200);
  assert.deepEqual(files(d, id), ['vmlinuz']);
}));

test("another account's images are not there; Holm's own cannot be changed", () => withDaemon({}, async (d) => {
  const c = new Client(d);
  const id = await c.makeWhole();
  const account = await c.call('POST', '/v1/accounts', { name: 'other' }, 201);
  const other = new Client(d, (await c.call('POST', '/v1/keys', { accountId: account.id }, 201)).key);
  await other.call('GET', `/v1/images/${id}`, undefined, 404);
  await other.call('PATCH', `/v1/images/${id}`, { name: 'x' }, 404);
  await other.call('DELETE', `/v1/images/${id}`, undefined, 404);
  await other.put(id, 'kernel', makeKernel(), 404);
  await other.call('POST', `/v1/images/${id}/set-default`, undefined, 404);
  await other.call('POST', '/v1/vms', { image: id }, 400);
  assert.ok(!(await other.call('GET', '/v1/images')).some((i) => i.id === id));
  const { id: bash } = await c.call('GET', '/v1/images/bash');
  for (const ref of ['bash', bash]) {
    await c.call('PATCH', `/v1/images/${ref}`, { name: 'x' }, 403);
    await other.call('DELETE', `/v1/images/${ref}`, undefined, 403);
    await c.put(ref, 'rootfs', makeRootfs(), 403);
  }
  await c.call('POST', '/v1/images', { name: 'bash' }, 400);
  await c.call('POST', '/v1/images', {}, 400);
  await c.call('POST', '/v1/images', { name: 'x'.repeat(129) }, 413);
  const admin = await fetch(`${d.url}/v1/images`);
  assert.equal(admin.status, 401);
}));

test('one upload of a part at a time; one that breaks off leaves nothing', () => withDaemon({}, async (d) => {
  const c = new Client(d);
  const id = await c.make();
  const { hostname, port } = new URL(d.url);
  const rq = request({ hostname, port, method: 'PUT', path: `/v1/images/${id}/kernel`,
    headers: { 'x-api-key': c.key, 'content-length': 100000 } });
  rq.on('error', () => {});
  rq.write(makeKernel());
  while (!files(d, id).includes('.upload-kernel')) await new Promise((r) => setTimeout(r, 5));
  assert.match((await c.put(id, 'kernel', makeKernel(), 409)).message, /under way/);
  await c.call('DELETE', `/v1/images/${id}`, undefined, 409);
  await c.put(id, 'rootfs', makeRootfs());
  rq.destroy();
  while (files(d, id).includes('.upload-kernel')) await new Promise((r) => setTimeout(r, 5));
  const chunked = request({ hostname, port, method: 'PUT', path: `/v1/images/${id}/kernel`, headers: { 'x-api-key': c.key } });
  chunked.write(makeKernel());
  chunked.end();
  const [answer] = await once(chunked, 'response');
  assert.equal(answer.statusCode, 200);
  const large = request({ hostname, port, method: 'PUT', path: `/v1/images/${id}/kernel`,
    headers: { 'x-api-key': c.key, 'content-length': 2 ** 30 } });
  large.on('error', () => {});
  large.flushHeaders();
  const [tooLarge] = await once(large, 'response');
  assert.equal(tooLarge.statusCode, 413);
  large.destroy();
}));

test('a first boot that fails says so at each launch, and is tried again', async () => {
  const dir = makeData();
  try {
    await withDaemon({ dir }, (d) => d.settled()); // of Holm's own images none is booted any more
    await withDaemon({ dir, faults: 'boot.agent=never:1', set: { 'engine.boot_timeout_s': 1 } }, async (d) => {
      const c = new Client(d);
      const id = await c.makeWhole();
      const vm = await c.launch({ image: id });
      assert.equal(vm.status, 'error');
      assert.match(vm.detail, /the image cannot be booted: .*it said nothing on its console/);
      const image = await c.call('GET', `/v1/images/${id}`);
      assert.equal(image.state, 'failed');
      assert.match(image.detail, /nothing on its console/);
      assert.match((await c.call('POST', '/v1/vms', { image: id }, 409)).message, /cannot be booted/);
      await c.put(id, 'kernel', makeKernel(1));
      assert.equal((await c.call('GET', `/v1/images/${id}`)).state, 'ready');
      assert.equal((await c.launch({ image: id })).status, 'running');
    });
  } finally {
    dropData(dir);
  }
});

test('an account with images is not deleted, its default survives', () => withDaemon({}, async (d) => {
  const c = new Client(d);
  const account = await c.call('POST', '/v1/accounts', { name: 'other' }, 201);
  const other = new Client(d, (await c.call('POST', '/v1/keys', { accountId: account.id }, 201)).key);
  const id = await other.makeWhole();
  await other.call('POST', `/v1/images/${id}/set-default`);
  await other.call('PATCH', `/v1/images/${id}`, { name: 'renamed', description: 'more' });
  const isDefault = async (who) => (await who.call('GET', '/v1/images')).filter((i) => i.isDefault).map((i) => i.name);
  assert.deepEqual(await isDefault(other), ['renamed']);
  assert.deepEqual(await isDefault(c), ['typescript']);
  assert.match((await c.call('DELETE', `/v1/accounts/${account.id}`, undefined, 409)).message, /image/);
  await other.call('DELETE', `/v1/images/${id}`);
  await c.call('DELETE', `/v1/accounts/${account.id}`);
}));

// --- the daemon is killed before each write to the database ---

// What is asked, and what must be true of the image before and after.
const operations = [
  { name: 'create', run: (c) => c.make(), before: (i) => !i, after: (i) => i?.state === 'missing' },
  { name: 'upload', setup: (c) => c.make(), run: (c, id) => c.put(id, 'kernel', makeKernel()),
    before: (i) => !i.hasKernel, after: (i) => i.hasKernel && i.kernelBytes === 4096 },
  { name: 'upload again', setup: (c) => c.makeWhole(), run: (c, id) => c.put(id, 'rootfs', makeRootfs(2)),
    before: (i) => i.diskGiB === 1 / 1024, after: (i) => i.diskGiB === 2 / 1024 },
  { name: 'change', setup: (c) => c.make(), run: (c, id) => c.call('PATCH', `/v1/images/${id}`, { name: 'new' }),
    before: (i) => i.name === 'mine', after: (i) => i.name === 'new' },
  { name: 'set default', setup: (c) => c.makeWhole(), run: (c, id) => c.call('POST', `/v1/images/${id}/set-default`),
    before: (i) => !i.isDefault, after: (i) => i.isDefault },
  { name: 'delete', setup: (c) => c.makeWhole(), run: (c, id) => c.call('DELETE', `/v1/images/${id}`),
    before: (i) => i?.state === 'ready', after: (i) => !i },
];

async function start(dir, die) {
  const d = new Daemon(dir, { set: { 'pool.vms': 0, 'pool.default': 0, 'vms.image': 'bash' }, env: { HOLM_STORE_DIE: die } });
  await d.ready();
  await d.settled(); // then nothing else writes
  return d;
}

// Whether the daemon died of the n-th write.
async function dieIn(op, n) {
  const dir = makeData(), die = join(dir, 'die');
  let d = await start(dir, die);
  try {
    let c = new Client(d);
    const id = op.setup ? await op.setup(c) : undefined;
    writeFileSync(die, `${n}`);
    let died = false;
    try {
      await op.run(c, id);
    } catch (e) {
      if (e instanceof assert.AssertionError) throw e;
      await d.exited;
      died = true;
    }
    rmSync(die);
    await d.kill('SIGKILL');
    d = await start(dir, die);
    c = new Client(d);
    const image = (await c.call('GET', '/v1/images')).find((i) => !i.builtin);
    assert.ok(op.after(image) || (died && op.before(image)), `${op.name}: ${JSON.stringify(image)}`);
    const left = readdirSync(join(dir, 'images')).filter((name) => /^[0-9a-z]{20}$/.test(name));
    assert.ok(left.length === 0 || (image && left.length === 1 && left[0] === idOf(image.id)), `${left}`);
    if (image) assert.deepEqual(files(d, image.id).filter((f) => f.startsWith('.')), []);
    if (image?.state === 'ready') {
      assert.equal(statSync(join(dir, 'images', idOf(image.id), 'rootfs.ext4')).size, image.diskGiB * 2 ** 30);
      const vm = await c.launch({ image: image.id });
      assert.equal(vm.status, 'running');
      await c.call('DELETE', `/v1/vms/${vm.id}`);
    }
    return died;
  } finally {
    await d.kill('SIGKILL');
    dropData(dir);
  }
}

for (const op of operations)
  test(`a death in the middle of: ${op.name}`, async () => {
    let n = 1;
    while (await dieIn(op, n)) n++;
    assert.ok(n > 1, `${op.name} writes nothing`);
  });
