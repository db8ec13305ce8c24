// SPDX-License-Identifier: Apache-2.0
// The run-dat-sheesh API with real VMs, from both of its base URLs: the way that its clients go, the status codes that its
// documents name, and a round of an administrator's.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { entry, list, tgz } from '../lib/tar.mjs';
import { Daemon, UID_FIRST } from './lib/holm.mjs';
import { Rds } from './lib/rds.mjs';

const UNKNOWN = '00000000-0000-8000-8000-000000000000';
const GZIP = { headers: { 'content-type': 'application/gzip' } };
const VMS_MAX = 3;

let daemon, own, rds, vm;
test.before(async () => {
  daemon = await Daemon.start({
    uidFirst: UID_FIRST + 3584,
    set: {
      'network.prefix': 'hte2ef', 'network.pool': '10.212.0.0/16', 'rds.enabled': 'yes', 'rds.listen': '127.0.0.1:0',
      'rds.vms_max': VMS_MAX, 'rds.rate_limits': 'no', 'vms.image': 'typescript',
    },
  });
  await daemon.ready(['typescript']);
  rds = new Rds(daemon);
  own = new Rds(daemon, { base: '', url: `http://${/listening at (\S+) mount=rds/.exec(daemon.log)[1]}` });
  vm = await rds.create();
});
test.after(async () => {
  await daemon?.deleteVms();
  await daemon?.idle();
  assert.equal(await daemon?.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

// --- the way that clients go ---

async function files(at, id) {
  const up = await at.request('POST', `/v1/vms/${id}/files/upload?dest=%2Fworkspace%2Fproject`, tgz(entry('hello.txt', 'hello\n')), GZIP);
  assert.deepEqual([up.status, up.body.length], [204, 0]);
  assert.equal((await at.exec(id, 'cat project/hello.txt')).stdout, 'hello\n');
  const down = await at.request('GET', `/v1/vms/${id}/files/download?path=%2Fworkspace%2Fproject`);
  assert.equal(down.status, 200);
  assert.deepEqual(list(down.body).map((e) => e.name), ['./', './hello.txt']);
}

async function images(at) {
  const all = await at.call('GET', '/v1/images');
  assert.ok(all.some((i) => i.isDefault && i.name === 'typescript'));
  const image = await at.call('POST', '/v1/images', { name: 'mine', description: 'of a client' });
  assert.deepEqual(await at.call('GET', `/v1/images/${image.id}`), image);
  await at.call('DELETE', `/v1/images/${image.id}`, undefined, 204);
}

for (const [where, client] of [['behind /rds', () => rds], ['on its own listener', () => own]])
  test(`what a client does, ${where}`, { timeout: 300_000 }, async () => {
    const at = client();
    const made = await at.create({ name: 'client' });
    assert.deepEqual([made.state, made.provisionMode], ['RUNNING', 'boot']);
    assert.deepEqual(await at.get(made.id), made);
    assert.ok((await at.call('GET', '/v1/vms')).some((v) => v.id === made.id));
    assert.equal((await at.exec(made.id, 'echo hello && id -u', { timeoutMs: 30000 })).stdout, 'hello\n1000\n');
    assert.deepEqual((await at.runTs(made.id, 'result.set({ ok: true, answer: 42 })')).result, { ok: true, answer: 42 });
    await files(at, made.id);
    const snapshot = await at.call('POST', `/v1/vms/${made.id}/snapshots`);
    assert.equal(snapshot.vmId, made.id);
    assert.ok((await at.call('GET', '/v1/snapshots')).some((s) => s.id === snapshot.id));
    const copy = await at.create({ snapshotId: snapshot.id });
    assert.equal((await at.exec(copy.id, 'cat project/hello.txt')).stdout, 'hello\n');
    for (const move of ['stop', 'start']) await at.call('POST', `/v1/vms/${made.id}/${move}`, undefined, 204);
    assert.equal((await at.exec(made.id, 'cat project/hello.txt')).stdout, 'hello\n');
    assert.ok((await at.call('GET', `/v1/vms/${made.id}/logs?type=firecracker.log&tail=100`)).lines.length > 3);
    for (const id of [made.id, copy.id]) await at.call('DELETE', `/v1/vms/${id}`, undefined, 204);
    await at.call('DELETE', `/v1/snapshots/${snapshot.id}`, undefined, 204);
    await images(at);
  });

// --- what is refused ---

// Rows of [method, path, body, status, message].
async function refused(at, rows, options) {
  for (const [method, path, body, status, message] of rows) {
    const answer = await at.request(method, path, body, options);
    const what = `${method} ${path}: ${answer.status} ${answer.body}`;
    assert.equal(answer.status, status, what);
    if (message instanceof RegExp) assert.match(answer.json.message, message, what);
    else assert.equal(answer.json.message, message, what);
  }
}

const BODIES = { exec: { cmd: 'id' }, 'run-ts': { code: '' } };
const ofVms = ['exec', 'run-ts', 'snapshots', 'start', 'stop'];
const ofImages = [['GET', ''], ['DELETE', ''], ['POST', '/set-default'], ['PUT', '/kernel'], ['PUT', '/rootfs']];

// A call of each kind: [method, path, body, what it is about].
function calls(id) {
  return [
    ['GET', `/v1/vms/${id}`, undefined, 'VM'], ['DELETE', `/v1/vms/${id}`, undefined, 'VM'], ['GET', `/v1/vms/${id}/logs`, undefined, 'VM'],
    ...ofVms.map((verb) => ['POST', `/v1/vms/${id}/${verb}`, BODIES[verb], 'VM']),
    ['POST', `/v1/vms/${id}/files/upload?dest=/workspace`, tgz(), 'VM'], ['GET', `/v1/vms/${id}/files/download?path=/workspace`, undefined, 'VM'],
    ['DELETE', `/v1/snapshots/${id}`, undefined, 'Snapshot'],
    ...ofImages.map(([method, end]) => [method, `/v1/images/${id}${end}`, method === 'PUT' ? 'x' : undefined, 'Image']),
  ];
}

test('400: bad input', async () => {
  const create = (more) => ['POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [], ...more }, 400];
  const post = (verb, body) => ['POST', `/v1/vms/${vm.id}/${verb}`, body, 400];
  const { id } = await rds.call('POST', '/v1/images', { name: 'no image', description: 'its files are none' });
  await refused(rds, [
    ...calls('zzz').map(([method, path, body, noun]) => [method, path, body, 400, `Invalid ${noun === 'VM' ? noun : noun.toLowerCase()} id`]),
    [...create({ cpu: 9 }), 'Invalid cpu (maxCpu=8)'], [...create({ memMb: 100 }), 'Invalid memMb (maxMemMb=8192)'],
    [...create({ allowIps: ['x'] }), /^allowIps\[0\] must be/], [...create({ diskSizeMb: 100 }), 'diskSizeMb too small (min=300)'],
    [...create({ snapshotId: 'x' }), 'Invalid snapshot id'],
    ['POST', '/v1/vms', { cpu: 1 }, 400, 'missing required field "memMb"'],
    [...post('exec', {}), 'missing required field "cmd"'], [...post('exec', { cmd: 'id', timeoutMs: 120001 }), 'timeoutMs exceeds maxExecTimeoutMs=120000'],
    [...post('exec', { cmd: 'id', env: { 'A=': '' } }), 'Invalid env var name: A='],
    [...post('run-ts', {}), 'give either code or path'], [...post('run-ts', { path: '/etc/x.ts' }), 'path must be of a file in /workspace'],
    [...post('run-ts', { code: '', env: ['x'] }), 'Invalid env entry (expected KEY=value): x'],
    ['GET', `/v1/vms/${vm.id}/logs?type=x`, undefined, 400, 'Invalid log type'],
    ['POST', '/v1/images', { name: 'x' }, 400, 'name and description are required'],
    ['PUT', `/v1/images/${id}/kernel`, 'no kernel', 400, /./], ['PUT', `/v1/images/${id}/rootfs`, 'no file system', 400, /./],
  ]);
  await rds.call('DELETE', `/v1/images/${id}`, undefined, 204);
});

test('401 and 404: who asks, and for what', async () => {
  for (const key of ['', 'rds_wrong'])
    await refused(new Rds(daemon, { key }), [...calls(vm.id), ['GET', '/v1/vms'], ['GET', '/v1/snapshots'], ['GET', '/v1/images'], ['GET', '/v1/admin/overview']]
      .map(([method, path, body]) => [method, path, body, 401, 'Unauthorized']));
  await refused(rds, calls(UNKNOWN).map(([method, path, body, noun]) => [method, path, body, 404, `${noun} not found`]));
  await refused(rds, [['POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [], imageId: `img-${UNKNOWN}` }, 404, 'Image not found'],
    ['POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [], snapshotId: `snap-${UNKNOWN}` }, 404, 'Snapshot not found']]);
  await refused(own, [['GET', '/nothing', undefined, 404, /^there is nothing at/], ['GET', '/v1/nothing', undefined, 404, /^there is nothing at/]]);
});

test("403 and 405: Holm's own images, and methods that are none", async () => {
  const [{ id }] = (await rds.call('GET', '/v1/images')).filter((i) => i.name === 'bash');
  const image = `/v1/images/${id}`;
  await refused(rds, [
    ['DELETE', image, undefined, 403, "image bash is Holm's own and cannot be deleted"],
    ['PUT', `${image}/kernel`, 'x', 403, /Holm's own/], ['PUT', `${image}/rootfs`, 'x', 403, /Holm's own/],
    ['PATCH', '/v1/vms', {}, 405, /is not allowed/],
  ]);
  assert.equal((await rds.call('GET', image)).hasRootfs, true);
});

test('409: what its state does not allow', { timeout: 300_000 }, async () => {
  const stopped = await rds.create({ diskSizeMb: 3000 });
  const snapshot = await rds.call('POST', `/v1/vms/${stopped.id}/snapshots`);
  await rds.call('POST', `/v1/vms/${stopped.id}/stop`, undefined, 204);
  const words = { exec: 'exec', 'run-ts': 'run-ts', snapshots: 'snapshot' };
  await refused(rds, [
    ...Object.entries(words).map(([verb, word]) => ['POST', `/v1/vms/${stopped.id}/${verb}`, BODIES[verb], 409, `VM must be RUNNING to ${word} (state=STOPPED)`]),
    ['POST', `/v1/vms/${stopped.id}/files/upload?dest=/workspace`, tgz(), 409, 'VM must be RUNNING to upload files (state=STOPPED)'],
    ['GET', `/v1/vms/${stopped.id}/files/download?path=/workspace`, undefined, 409, 'VM must be RUNNING to download files (state=STOPPED)'],
  ]);
  const restore = { cpu: 1, memMb: 256, allowIps: [], snapshotId: snapshot.id };
  const { id } = await rds.call('POST', '/v1/images', { name: 'empty', description: 'without its files' });
  await refused(rds, [
    ['POST', '/v1/vms', { ...restore, diskSizeMb: 2999 }, 400, 'diskSizeMb too small (min=3000)'],
    ['POST', '/v1/vms', { ...restore, memMb: 512 }, 400, 'Snapshot cpu/mem mismatch: snapshot=1/256 requested=1/512'],
    ['POST', `/v1/images/${id}/set-default`, undefined, 409, /./],
    ['POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [], imageId: id }, 409, /./],
  ]);
  await rds.call('DELETE', `/v1/images/${id}`, undefined, 204);
  await rds.call('DELETE', `/v1/snapshots/${snapshot.id}`, undefined, 204);
  await rds.call('DELETE', `/v1/vms/${stopped.id}`, undefined, 204);
});

test('413 and 415: bodies', async () => {
  const post = (verb, body) => ['POST', `/v1/vms/${vm.id}/${verb}`, body, 413];
  await refused(rds, [
    [...post('exec', { cmd: 'x'.repeat((1 << 20) + 1) }), /"cmd"/], [...post('run-ts', { code: 'x'.repeat((1 << 20) + 1) }), /"code"/],
    [...post('exec', { cmd: 'x'.repeat(25 << 20) }), 'Body too large'], [...post('run-ts', { code: '', denoFlags: Array(33).fill('-q') }), /"denoFlags"/],
    [...post('files/upload?dest=/workspace', Buffer.alloc((10 << 20) + 1)), 'Body too large'],
  ]);
  await refused(rds, [['POST', '/v1/vms', 'x', 415, /Content-Type/], ['POST', `/v1/vms/${vm.id}/exec`, 'x', 415, /Content-Type/],
    ['POST', `/v1/vms/${vm.id}/files/upload?dest=/workspace`, 'x', 415, 'Content-Type must be application/gzip']], { headers: { 'content-type': 'text/plain' } });
});

test('429: so many VMs', { timeout: 300_000 }, async (t) => {
  for (let n = (await rds.call('GET', '/v1/vms')).length; n < VMS_MAX; n++) {
    const { id } = await rds.create({ imageId: 'bash' });
    t.after(() => rds.delete(id));
  }
  const answer = await rds.request('POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [] });
  assert.deepEqual([answer.status, answer.json], [429, { message: `VM quota exceeded (maxVms=${VMS_MAX})` }]);
  assert.equal((await rds.call('GET', '/v1/vms')).length, VMS_MAX);
});

// --- an administrator ---

// A webhook's other end: what was told to it.
async function listen() {
  const told = [], waiters = [];
  const server = createServer(async (rq, res) => {
    const body = Buffer.concat(await rq.toArray());
    told.push({ headers: rq.headers, body, event: JSON.parse(body) });
    for (const wake of waiters.splice(0)) wake();
    res.writeHead(204).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const first = async (type) => {
    let found;
    while (!(found = told.find((x) => x.event.type === type))) await new Promise((wake) => { waiters.push(wake); });
    return found;
  };
  return { url: `http://127.0.0.1:${server.address().port}/hook`, first, close: () => (server.closeAllConnections(), server.close()) };
}

// The first event of a type in a feed that goes on.
async function firstOf(feed, type) {
  let text = '';
  for await (const piece of feed.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (const [, data] of text.matchAll(/^data: (.*)\n\n/gm)) {
      const event = JSON.parse(data);
      if (event.type === type) return event;
    }
  }
  throw new Error(`the feed ended: ${text}`);
}

test('a round of an administrator: overview, activity, events, webhooks, API keys', { timeout: 120_000 }, async (t) => {
  const hook = await listen();
  t.after(() => hook.close());
  const made = await rds.call('POST', '/v1/admin/webhooks', { name: 'ops', url: hook.url, eventTypes: ['vm.stopped'] });
  const key = await rds.call('POST', '/v1/admin/api-keys', { name: 'ci' });
  const by = new Rds(daemon, { key: key.apiKey });
  const feed = await fetch(`${rds.base}/v1/admin/events`, { headers: { 'x-api-key': rds.key } });
  assert.equal(feed.headers.get('content-type'), 'text/event-stream');
  const { id } = await by.create({ imageId: 'bash' });
  await by.call('POST', `/v1/vms/${id}/stop`, undefined, 204);
  const event = await firstOf(feed, 'vm.stopped');
  assert.equal(event.entityId, id);
  const { counts, cpu, memory } = await rds.call('GET', '/v1/admin/overview');
  assert.deepEqual([counts.activeVms, counts.vms], [1, 2]);
  assert.ok(cpu.capacityCores > 0 && memory.promisedBytes >= 256 << 20);
  const activity = await rds.call('GET', '/v1/admin/activity?limit=20');
  assert.deepEqual(activity.find((e) => e.id === event.id), event);
  assert.ok(activity.some((e) => e.type === 'vm.created' && e.entityId === id));
  const told = await hook.first('vm.stopped');
  assert.deepEqual(told.event, { ...event, webhookId: made.id });
  assert.equal(told.headers['x-holm-signature'], `sha256=${createHmac('sha256', made.secret).update(told.body).digest('hex')}`);
  await by.call('DELETE', `/v1/vms/${id}`, undefined, 204);
  await rds.call('POST', `/v1/admin/api-keys/${key.id}/revoke`, undefined, 204);
  await refused(by, [['GET', '/v1/vms', undefined, 401, 'Unauthorized']]);
  assert.ok((await rds.call('GET', '/v1/admin/api-keys')).find((k) => k.id === key.id).revokedAt);
  await rds.call('DELETE', `/v1/admin/webhooks/${made.id}`, undefined, 204);
  assert.deepEqual(await rds.call('GET', '/v1/admin/webhooks'), []);
});
