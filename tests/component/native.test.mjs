// SPDX-License-Identifier: Apache-2.0
// The native API through the whole daemon on the fake engine: accounts and what they own, quotas, staged
// files, and what the next daemon knows.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { Daemon, dropData, makeData, rdsListener, withDaemon } from './daemon.mjs';

const adminKey = (d) => readFileSync(join(d.dir, 'admin.key'), 'utf8').trim();

// One call; resolves with the answer's JSON once its status was as expected.
async function call(d, key, method, path, { body, status = 200, headers = {} } = {}) {
  const res = await d.fetch(path, {
    method,
    headers: { ...(key && { 'x-api-key': key }), ...(body && { 'content-type': 'application/json' }), ...headers },
    body: body && JSON.stringify(body),
  });
  const text = await res.text();
  assert.equal(res.status, status, `${method} ${path}: ${text}`);
  await d.checkAnswer(method, path, res, text);
  return JSON.parse(text);
}

const launch = (d, key, body = {}) =>
  call(d, key, 'POST', '/v1/vms', { body: { image: 'bash', diskGiB: 1, ...body }, status: 201 });

async function makeAccount(d, name, quotas) {
  const account = await call(d, adminKey(d), 'POST', '/v1/accounts', { body: { name, quotas }, status: 201 });
  const { key } = await call(d, adminKey(d), 'POST', '/v1/keys', { body: { accountId: account.id }, status: 201 });
  return { account, key };
}

test('the first key is in a file of root, and is good for the next daemon', async () => {
  const dir = makeData();
  try {
    let key;
    await withDaemon({ dir }, async (d) => {
      key = adminKey(d);
      assert.match(key, /^holm_[0-9A-Za-z]{40}$/);
      assert.equal(statSync(join(dir, 'admin.key')).mode & 0o777, 0o600);
      await call(d, key, 'GET', '/v1/vms');
      await call(d, null, 'GET', '/v1/vms', { status: 401 });
      assert.doesNotMatch(d.log, new RegExp(key));
    });
    rmSync(join(dir, 'admin.key'));
    await withDaemon({ dir }, async (d) => {
      await call(d, key, 'GET', '/v1/vms');
      const again = adminKey(d);
      assert.notEqual(again, key);
      await call(d, again, 'GET', '/v1/vms');
      assert.equal((await call(d, again, 'GET', '/v1/keys')).length, 2);
      for (const file of ['holm.db', 'holm.db-wal'])
        if (existsSync(join(dir, file))) assert.ok(!readFileSync(join(dir, file)).includes(again));
    });
  } finally {
    dropData(dir);
  }
});

test('with require_key nothing runs without a key, on loopback either', async () => {
  await withDaemon({ set: { 'server.require_key': 'yes' } }, async (d) => {
    await call(d, null, 'GET', '/healthz');
    await call(d, null, 'GET', '/health');
    await call(d, null, 'GET', '/api/v1/languages', { status: 401 });
    await call(d, 'holm_wrong', 'GET', '/api/v1/languages', { status: 401 });
    await call(d, adminKey(d), 'GET', '/api/v1/languages');
  });
});

test('beyond loopback nothing runs without a key', async () => {
  await withDaemon({ set: { 'server.listen': '0.0.0.0:0 127.0.0.1:0' } }, async (d) => {
    d.url = d.url.replace('0.0.0.0', '127.0.0.1');
    await call(d, null, 'GET', '/healthz');
    await call(d, null, 'GET', '/api/v1/languages', { status: 401 });
    await call(d, adminKey(d), 'GET', '/api/v1/languages');
  });
});

test('what belongs to another account is not there', async () => {
  await withDaemon({}, async (d) => {
    await d.settled();
    const ann = await makeAccount(d, 'ann'), bob = await makeAccount(d, 'bob');
    const vm = await launch(d, ann.key, { name: 'mine' });
    assert.equal(vm.orgId, ann.account.id);
    const snapshot = await call(d, ann.key, 'POST', '/v1/snapshots', { body: { vmId: vm.id }, status: 201 });
    for (const key of [bob.key, adminKey(d)]) {
      assert.deepEqual(await call(d, key, 'GET', '/v1/vms'), []);
      assert.deepEqual(await call(d, key, 'GET', '/v1/snapshots'), []);
      for (const [method, path, body] of [
        ['GET', ''], ['DELETE', ''], ['PATCH', '', { name: 'x' }], ['POST', '/pause'], ['POST', '/stop'],
        ['POST', '/fork'], ['GET', '/stats'], ['POST', '/exec', { command: ['true'] }], ['GET', '/exec'],
        ['GET', '/files?path=/'], ['DELETE', '/files?path=/x'], ['POST', '/console-token'], ['GET', '/console'],
        ['POST', '/files/presign', { path: '/x' }], ['PUT', '/firewall', {}], ['POST', '/resize', { diskGiB: 2 }],
      ])
        await call(d, key, method, `/v1/vms/${vm.id}${path}`, { body, status: 404 });
      for (const [method, body] of [['GET'], ['DELETE'], ['PATCH', { name: 'x' }]])
        await call(d, key, method, `/v1/snapshots/${snapshot.id}`, { body, status: 404 });
      await call(d, key, 'POST', '/v1/snapshots', { body: { vmId: vm.id }, status: 404 });
      await call(d, key, 'POST', '/v1/vms', { body: { snapshotId: snapshot.id }, status: 404 });
    }
    assert.equal((await call(d, ann.key, 'GET', `/v1/vms/${vm.id}`)).status, 'running');
    await call(d, bob.key, 'GET', '/v1/accounts', { status: 403 });
  });
});

test('quotas', async () => {
  await withDaemon({}, async (d) => {
    await d.settled();
    const { account, key } = await makeAccount(d, 'ann', { vcpu: 2, diskGiB: 3, snapshotCount: 1 });
    const first = await launch(d, key), second = await launch(d, key);
    const refused = await call(d, key, 'POST', '/v1/vms', { body: { image: 'bash', diskGiB: 1 }, status: 403 });
    assert.equal(refused.error.code, 'forbidden');
    assert.match(refused.message, /quota of vCPUs is exhausted: 2 of 2/);
    let { usage } = await call(d, key, 'GET', '/v1/org/quotas');
    assert.deepEqual(usage, { vcpu: 2, memoryMiB: 512, diskGiB: 2, snapshotCount: 0 });

    // A stopped VM has its disk only.
    await call(d, key, 'POST', `/v1/vms/${first.id}/stop`, { body: { force: true } });
    ({ usage } = await call(d, key, 'GET', '/v1/org/quotas'));
    assert.deepEqual(usage, { vcpu: 1, memoryMiB: 256, diskGiB: 2, snapshotCount: 0 });
    const third = await launch(d, key);
    await call(d, key, 'POST', `/v1/vms/${first.id}/start`, { status: 403 });
    await call(d, key, 'DELETE', `/v1/vms/${third.id}`);
    await call(d, key, 'POST', `/v1/vms/${first.id}/start`);

    await call(d, key, 'POST', '/v1/snapshots', { body: { vmId: second.id }, status: 201 });
    const more = await call(d, key, 'POST', '/v1/snapshots', { body: { vmId: second.id }, status: 403 });
    assert.match(more.message, /quota of snapshots/);
    const grown = await call(d, key, 'POST', `/v1/vms/${first.id}/resize`, { body: { diskGiB: 3 }, status: 403 });
    assert.match(grown.message, /quota of disk/);

    await call(d, adminKey(d), 'DELETE', `/v1/accounts/${account.id}`, { status: 409 });
    await call(d, adminKey(d), 'PATCH', `/v1/accounts/${account.id}`, { body: { quotas: { vcpu: 0 } } });
    await launch(d, key);
  });
});

test('what an account uses is known to the next daemon', async () => {
  const dir = makeData();
  try {
    let vm, ann, before;
    await withDaemon({ dir }, async (d) => {
      await d.settled();
      ann = await makeAccount(d, 'ann', { vcpu: 1 });
      vm = await launch(d, ann.key, { name: 'kept', metadata: { a: 'b' } });
      before = await call(d, ann.key, 'GET', '/v1/org/quotas');
      await d.kill('SIGKILL');
    });
    const d = await new Daemon(dir).ready();
    try {
      assert.deepEqual(await call(d, ann.key, 'GET', '/v1/org/quotas'), before);
      const now = await call(d, ann.key, 'GET', `/v1/vms/${vm.id}`);
      assert.equal(now.status, 'running');
      assert.deepEqual(now.metadata, { a: 'b' });
      await call(d, ann.key, 'POST', '/v1/vms', { body: { image: 'bash' }, status: 403 });
      await call(d, ann.key, 'DELETE', `/v1/vms/${vm.id}`);
      assert.equal((await call(d, ann.key, 'GET', '/v1/org/quotas')).usage.vcpu, 0);
    } finally {
      await d.stop();
    }
  } finally {
    dropData(dir);
  }
});

// As a connection out of a VM comes in: to the socket in the data directory.
function fromInside(d, method, path, body) {
  return new Promise((done, fail) => {
    const rq = request({ socketPath: join(d.dir, 'staging.sock'), method, path }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (t) => (text += t)).on('end', () => done({ status: res.statusCode, text }));
    });
    rq.on('error', fail).end(body);
  });
}

// `base`: where the native API is asked for; URLs in its answers lead back there.
async function checkStaging(d, base) {
  const key = adminKey(d), { id } = await launch(d, key);
  const ask = async (method, path, body) => {
    const res = await fetch(`${base}/v1/vms/${id}${path}`, {
      method, headers: { 'x-api-key': key, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    assert.equal(res.status, 200, `${method} ${base} ${path}`);
    return res;
  };
  const presign = async () => (await ask('POST', '/files/presign', { path: '/tmp/x' })).json();
  const url = await presign();
  assert.ok(url.uploadUrl.startsWith(`${base}/v1/staging/`), url.uploadUrl);
  assert.equal(url.maxUploadBytes, 2 ** 30);
  assert.equal((await fetch(url.uploadUrl, { method: 'PUT', body: 'from the client' })).status, 200);
  const fetched = await (await ask('POST', '/files/fetch', { url: url.downloadUrl, path: '/got/it' })).json();
  assert.equal(fetched.exitCode, 0);
  assert.equal(await (await ask('GET', '/files?path=/got/it')).text(), 'from the client');

  const back = await presign();
  const path = (u) => u.slice(new URL(base).origin.length);
  assert.equal((await fromInside(d, 'PUT', path(back.uploadUrl), 'from the guest')).status, 200);
  assert.equal(await (await fetch(back.downloadUrl)).text(), 'from the guest');
  assert.equal((await fromInside(d, 'GET', path(back.downloadUrl))).text, 'from the guest');
  for (const other of ['/', '/health', '/healthz', '/v1/vms', '/metrics', '/native/v1/vms'])
    assert.equal((await fromInside(d, 'GET', other)).status, 403);
  assert.equal((await fetch(back.downloadUrl.replace(/.$/, (c) => (c === '0' ? '1' : '0')))).status, 403);
}

test('staged files: in by a client, out in the guest, and the other way', async () => {
  await withDaemon(rdsListener, async (d) => {
    await d.settled();
    for (const base of [d.url, `${d.url}/native`, `${await d.rdsUrl()}/native`]) await checkStaging(d, base);
  });
});

test('a guest that takes no more of a file says why', async () => {
  await withDaemon({}, async (d) => {
    await d.settled();
    const key = adminKey(d), vm = `/v1/vms/${(await launch(d, key)).id}`;
    const res = await d.fetch(`${vm}/files?path=/big`, {
      method: 'PUT', headers: { 'x-api-key': key }, body: new Uint8Array(66 * 2 ** 20), // beyond a fake guest's disk
    });
    assert.equal(res.status, 413);
    assert.equal((await res.json()).error.code, 'too_large');
    const none = await d.fetch(`${vm}/files?path=/big`, { headers: { 'x-api-key': key } });
    assert.equal(none.status, 404);
  });
});
