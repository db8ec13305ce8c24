// SPDX-License-Identifier: Apache-2.0
// VMs that live, in real guests: launch, commands, files, snapshots, forks, suspend, restarts.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, until } from './lib/holm.mjs';
import { Api } from './lib/native.mjs';

// One daemon for most of the tests; VMs are each test's own.
let daemon, api;
test.before(async () => {
  daemon = await Daemon.start();
  await daemon.ready(['bash', 'python']);
  api = new Api(daemon);
});
test.after(async () => {
  api?.close();
  await daemon?.close();
});

async function launched(t, more) {
  const vm = await api.launch(more);
  t.after(() => api.request('DELETE', `/v1/vms/${vm.id}`));
  return vm.id;
}

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');

// The events of an NDJSON answer as they come; output decoded.
async function* events(answer) {
  let text = '';
  for await (const part of answer) {
    text += part;
    for (let at; (at = text.indexOf('\n')) >= 0; text = text.slice(at + 1)) {
      const event = JSON.parse(text.slice(0, at));
      yield event.d ? { ...event, text: Buffer.from(event.d, 'base64').toString() } : event;
    }
  }
}

test('a launch answers with a VM that runs, and the VM knows who it is', async (t) => {
  const { status, json: vm } = await api.request('POST', '/v1/vms', { name: 'First One', metadata: { a: 'b' }, envVars: { COLOUR: 'blue' } });
  t.after(() => api.delete(vm.id));
  assert.equal(status, 201);
  assert.equal(vm.status, 'running');
  assert.equal(vm.name, 'First One');
  assert.equal(await api.exec(vm.id, 'hostname; echo $COLOUR; id -u; pwd'), 'first-one\nblue\n0\n/root\n');
  const skew = Math.abs(Number(await api.exec(vm.id, 'date +%s%3N')) - Date.now());
  assert.ok(skew < 5000, `the guest's clock is ${skew} ms off`);
  assert.deepEqual((await api.call('GET', '/v1/vms?metadata.a=b')).map((v) => v.id), [vm.id]);
  assert.deepEqual(await api.call('GET', '/v1/vms?metadata.a=c'), []);
});

test('commands: exit code, both streams, stdin, user, timeout, truncation', async (t) => {
  const id = await launched(t);
  const run = (more) => api.call('POST', `/v1/vms/${id}/exec`, more);
  const r = await run({ command: ['sh', '-c', 'echo out; echo err >&2; exit 3'] });
  assert.deepEqual([r.exitCode, r.stdout, r.stderr], [3, 'out\n', 'err\n']);
  assert.equal((await run({ command: ['cat'], stdin: Buffer.from('hello').toString('base64') })).stdout, 'hello');
  assert.equal((await run({ command: ['id', '-un'], user: 'user' })).stdout, 'user\n');
  const late = await run({ command: ['sleep', '60'], timeoutSec: 1 });
  assert.deepEqual([late.timedOut, late.exitCode], [true, 124]);
  const much = await run({ command: ['head', '-c', '5000000', '/dev/zero'] });
  assert.deepEqual([much.stdout.length, much.stdoutTruncated, much.stderrTruncated], [4 << 20, true, false]);
  assert.equal((await api.request('POST', `/v1/vms/${id}/exec`, { command: ['/no/such'] })).status, 400);
});

test('a streamed command is heard as it speaks, and ends when nobody listens', async (t) => {
  const id = await launched(t);
  const accept = { accept: 'application/x-ndjson' };
  const answer = await api.open('POST', `/v1/vms/${id}/exec`, { command: ['sh', '-c', 'echo $$; exec sleep 1000'] }, accept);
  const first = (await events(answer).next()).value;
  assert.equal(first.t, 'o');
  answer.destroy();
  await until(async () => (await api.exec(id, `kill -0 ${first.text.trim()} 2>/dev/null && echo there || echo gone`)) === 'gone\n', 'the command to be ended');
  const all = [];
  for await (const e of events(await api.open('POST', `/v1/vms/${id}/exec`, { command: ['sh', '-c', 'echo a; exit 7'] }, accept))) all.push(e);
  assert.deepEqual(all.map((e) => e.t), ['o', 'x']);
  assert.equal(all[1].c, 7);
});

test('a background command outlives its client, the daemon, and is replayed from an offset', async (t) => {
  const id = await launched(t);
  const { execId } = await api.call('POST', `/v1/vms/${id}/exec`, { command: ['sh', '-c', 'echo one; sleep 1; echo two; exit 5'], background: true });
  await daemon.kill9();
  await daemon.launch();
  const job = `/v1/vms/${id}/exec/${execId}`;
  await until(async () => !(await api.call('GET', job)).running, 'the job to end');
  assert.equal((await api.call('GET', job)).exitCode, 5);
  const all = [];
  for await (const e of events(await api.open('GET', `${job}/output?offset=4`))) all.push(e);
  assert.deepEqual([all[0].text, all[0].off, all.at(-1).t, all.at(-1).c], ['two\n', 8, 'x', 5]);
  await api.call('DELETE', job);
  assert.equal((await api.request('GET', job)).status, 404);
});

test('files of any kind go in and out: ranges, modes, directories', async (t) => {
  const id = await launched(t);
  const data = randomBytes(3_000_000), files = `/v1/vms/${id}/files?path=`;
  const put = await api.request('PUT', `${files}/root/new/dir/f&mode=0640`, data, { 'content-type': 'application/octet-stream' });
  assert.equal(put.status, 201);
  assert.equal(sha((await api.request('GET', `${files}/root/new/dir/f`)).body), sha(data));
  const part = await api.request('GET', `${files}/root/new/dir/f`, undefined, { range: 'bytes=1000-1999' });
  assert.equal(part.status, 206);
  assert.deepEqual(part.body, data.subarray(1000, 2000));
  assert.equal((await api.request('GET', `${files}/root/new/dir/f`, undefined, { range: 'bytes=3000000-' })).status, 416);
  assert.equal((await api.call('GET', `${files}/root/new/dir/f&stat=1`)).mode, '0640');
  const tar = (await api.request('GET', `${files}/root/new`)).body;
  await api.call('PUT', `${files}/root/copy`, tar, { 'content-type': 'application/x-tar' });
  assert.equal(await api.exec(id, 'cmp /root/new/dir/f /root/copy/dir/f && echo same'), 'same\n');
  await api.call('DELETE', `${files}/root/copy`);
  assert.equal((await api.request('GET', `${files}/root/copy`)).status, 404);
});

test('a signed URL works for the client and, without a network, inside the guest', async (t) => {
  const id = await launched(t, { firewall: { egress: { default: 'deny', rules: [] } } });
  const data = randomBytes(2_000_000);
  const up = await api.call('POST', `/v1/vms/${id}/files/presign`, { path: '/root/in' });
  const stored = await fetch(up.uploadUrl, { method: 'PUT', body: data });
  assert.ok(stored.ok, `${stored.status}`);
  const got = await api.call('POST', `/v1/vms/${id}/files/fetch`, { url: up.downloadUrl, path: '/root/in' });
  assert.equal(got.exitCode, 0);
  const down = await api.call('POST', `/v1/vms/${id}/files/presign`, { path: '/root/in' });
  await api.exec(id, ['curl', '--fail', '--show-error', '-s', '-X', 'PUT', '-T', '/root/in', down.uploadUrl]);
  assert.equal(sha(Buffer.from(await (await fetch(down.downloadUrl)).arrayBuffer())), sha(data));
  const forged = up.downloadUrl.replace(/.$/, (c) => (c === '0' ? '1' : '0'));
  assert.equal((await fetch(forged)).status, 403);
});

// A program in the guest that looks at its monotonic clock a thousand times a second and remembers
// the longest gap.
const TICKER = `
import time, sys
worst = 0; last = time.monotonic(); end = last + float(sys.argv[1])
print('ready', flush=True)
while last < end:
    time.sleep(0.001)
    now = time.monotonic(); worst = max(worst, now - last); last = now
print(worst * 1000)
`;

test('a snapshot leaves the VM undisturbed: commands, connections, a ticker', async (t) => {
  const id = await launched(t, { image: 'python' });
  const talk = `python3 -c "
import socket, threading
s = socket.create_server(('127.0.0.1', 7000)); c, _ = s.accept()
while d := c.recv(9): c.sendall(d)" & sleep 1; exec python3 -u -c "
import socket, sys
c = socket.create_connection(('127.0.0.1', 7000))
for line in sys.stdin: c.sendall(line.encode()); print(c.recv(100).decode().strip())"`;
  const job = await api.call('POST', `/v1/vms/${id}/exec`, { command: ['python3', '-c', TICKER, '6'], background: true });
  const still = await api.call('POST', `/v1/vms/${id}/exec`, {
    command: ['sh', '-c', `(for i in 1 2 3 4 5 6; do echo $i; sleep 1; done) | (${talk})`], background: true,
  });
  const pauses = [];
  for (let i = 0; i < 3; i++) {
    const s = await api.call('POST', '/v1/snapshots', { vmId: id });
    pauses.push(s.pauseMs);
    await api.call('DELETE', `/v1/snapshots/${s.id}`);
  }
  const path = (j) => `/v1/vms/${id}/exec/${j.execId}`;
  await until(async () => !(await api.call('GET', path(job))).running && !(await api.call('GET', path(still))).running, 'both to end');
  const said = async (j) => {
    let text = '';
    for await (const e of events(await api.open('GET', `${path(j)}/output?offset=0`))) text += e.text ?? '';
    return text;
  };
  assert.equal((await said(still)).trim(), '1\n2\n3\n4\n5\n6');
  t.diagnostic(`pauses ${pauses} ms, worst gap ${(await said(job)).split('\n')[1]} ms by the guest's clock`);
  assert.ok(pauses.every((p) => p > 0));
});

test('a clone of a snapshot has memory, disk and processes; the snapshot may go before it', async (t) => {
  const id = await launched(t);
  await api.exec(id, 'head -c 2m /dev/urandom | tee /dev/shm/m > /root/d; (while :; do date +%s >> /root/ticks; sleep 1; done) >/dev/null 2>&1 &');
  const sums = await api.exec(id, 'cat /dev/shm/m /root/d | sha256sum');
  const snap = await api.call('POST', '/v1/snapshots', { vmId: id, name: ' my  snap ' });
  assert.equal(snap.name, 'my snap');
  const a = await launched(t, { snapshotId: snap.id }), b = await launched(t, { snapshotId: snap.id });
  await api.delete(id);
  await api.call('DELETE', `/v1/snapshots/${snap.id}`);
  for (const clone of [a, b]) {
    assert.equal(await api.exec(clone, 'cat /dev/shm/m /root/d | sha256sum'), sums);
    const before = await api.exec(clone, 'wc -l < /root/ticks');
    await until(async () => await api.exec(clone, 'wc -l < /root/ticks') !== before, 'the loop to go on');
  }
  const random = await Promise.all([a, b].map((c) => api.exec(c, 'head -c 16 /dev/urandom | od -An -tx1')));
  assert.notEqual(random[0], random[1]);
});

test('a damaged snapshot is refused with the reason, and the others are not touched', async (t) => {
  const id = await launched(t);
  const whole = await api.call('POST', '/v1/snapshots', { vmId: id }), broken = await api.call('POST', '/v1/snapshots', { vmId: id });
  const dir = join(daemon.data, 'snapshots');
  const newest = readdirSync(dir).map((name) => join(dir, name)).sort((a, b) => statSync(b).ctimeMs - statSync(a).ctimeMs)[0];
  const state = readdirSync(newest).map((name) => join(newest, name)).find((name) => /state/.test(name));
  const bytes = readFileSync(state);
  bytes[bytes.length >> 1] ^= 1;
  chmodSync(state, 0o600);
  writeFileSync(state, bytes);
  const refused = await api.request('POST', '/v1/vms', { snapshotId: broken.id });
  assert.equal(refused.status, 409, refused.body.toString());
  assert.match(refused.json.message, /damaged|checksum|sum/);
  await launched(t, { snapshotId: whole.id });
  assert.equal((await api.call('GET', '/v1/vms')).filter((v) => v.snapshotId === broken.id).length, 0);
});

test('a fork: own identity, clock, random numbers, network; processes go on; the source does too', async (t) => {
  const id = await launched(t, { name: 'parent' });
  const job = await api.call('POST', `/v1/vms/${id}/exec`, { command: ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done'], background: true });
  await api.exec(id, 'echo shared > /dev/shm/f');
  const { pauseMs, forks } = await api.fork(id, { count: 3, name: 'kid' });
  forks.forEach((f) => t.after(() => api.request('DELETE', `/v1/vms/${f.id}`)));
  assert.ok(pauseMs > 0);
  assert.deepEqual(forks.map((f) => f.vm.name), ['kid-1', 'kid-2', 'kid-3']);
  const seen = new Set();
  for (const { id: kid, readyMs } of forks) {
    assert.ok(readyMs > 0);
    assert.equal(await api.exec(kid, 'cat /dev/shm/f; hostname'), `shared\nkid-${seen.size + 1}\n`);
    seen.add(await api.exec(kid, 'head -c 16 /dev/urandom | od -An -tx1'));
    assert.ok(Math.abs(Number(await api.exec(kid, 'date +%s%3N')) - Date.now()) < 5000);
    const { outputBytes } = await api.call('GET', `/v1/vms/${kid}/exec/${job.execId}`);
    await until(async () => (await api.call('GET', `/v1/vms/${kid}/exec/${job.execId}`)).outputBytes > outputBytes, 'the job to go on in the child');
    await api.exec(kid, `echo ${kid} > /dev/shm/f`);
  }
  assert.equal(seen.size, 3);
  assert.equal(await api.exec(id, 'cat /dev/shm/f'), 'shared\n');
  const grand = (await api.fork(forks[0].id)).forks[0];
  t.after(() => api.request('DELETE', `/v1/vms/${grand.id}`));
  assert.equal(await api.exec(grand.id, 'cat /dev/shm/f'), `${forks[0].id}\n`);
});

test('suspend frees the monitor; resume brings all back, after a kill of the daemon too', async (t) => {
  const id = await launched(t);
  const monitors = daemon.monitors().length;
  await api.exec(id, 'echo kept | tee /dev/shm/f > /root/f');
  assert.equal((await api.call('POST', `/v1/vms/${id}/suspend`)).status, 'suspended');
  assert.equal(daemon.monitors().length, monitors - 1);
  assert.equal((await api.request('POST', `/v1/vms/${id}/exec`, { command: ['true'] })).status, 409);
  await daemon.kill9();
  await daemon.launch();
  assert.equal((await api.call('GET', `/v1/vms/${id}`)).status, 'suspended');
  assert.equal((await api.call('POST', `/v1/vms/${id}/resume`)).status, 'running');
  assert.equal(await api.exec(id, 'cat /dev/shm/f /root/f'), 'kept\nkept\n');
});

test('stop keeps the disk, start boots from it with the new machine type', async (t) => {
  const id = await launched(t);
  await api.exec(id, 'echo kept > /root/f');
  assert.equal((await api.call('POST', `/v1/vms/${id}/stop`)).status, 'stopped');
  await api.call('POST', `/v1/vms/${id}/resize`, { machineType: 'c2m2' });
  const vm = await api.call('POST', `/v1/vms/${id}/start`);
  assert.deepEqual([vm.status, vm.cpu, vm.memoryMiB], ['running', 2, 2048]);
  assert.equal(await api.exec(id, 'cat /root/f; nproc'), 'kept\n2\n');
});

test('a disk grows while its VM runs', async (t) => {
  const id = await launched(t);
  const size = async () => Number(await api.exec(id, 'df --output=size -BM / | tail -1 | tr -dc 0-9'));
  const before = await size();
  await api.call('POST', `/v1/vms/${id}/resize`, { diskGiB: 3 });
  const after = await size();
  assert.ok(after > before + 900, `${before} MiB, then ${after}`);
  assert.equal((await api.request('POST', `/v1/vms/${id}/resize`, { diskGiB: 1 })).status, 400);
});

test('pause freezes a VM and its TTL; idle VMs are suspended, busy ones are not', async (t) => {
  const id = await launched(t, { ttl: { seconds: 3600, action: 'delete' } });
  const paused = await api.call('POST', `/v1/vms/${id}/pause`);
  assert.equal(paused.status, 'paused');
  assert.ok(paused.ttlRemainingMs > 3_500_000 && paused.pausedAt);
  const vm = await api.call('POST', `/v1/vms/${id}/resume`);
  assert.ok(vm.expiresAtMs > Date.now() + 3_500_000);
  const idle = await launched(t, { idle: { seconds: 3, action: 'suspend' } });
  const busy = await launched(t, { idle: { seconds: 3, action: 'suspend' } });
  await api.exec(busy, '(while :; do :; done) >/dev/null 2>&1 &');
  await until(async () => (await api.call('GET', `/v1/vms/${idle}`)).status === 'suspended', 'the idle one to be suspended');
  assert.equal((await api.call('GET', `/v1/vms/${busy}`)).status, 'running');
});

test('kill -9 of the daemon: VMs run on and are adopted with what runs in them', async (t) => {
  const id = await launched(t);
  const paused = await launched(t);
  await api.exec(id, '(while :; do echo >> /root/t; sleep 0.1; done) >/dev/null 2>&1 & echo $! > /root/pid');
  await api.call('POST', `/v1/vms/${paused}/pause`);
  const monitors = daemon.monitors().map((p) => p.pid).sort();
  await daemon.kill9();
  await daemon.launch();
  assert.deepEqual(daemon.monitors().map((p) => p.pid).sort(), monitors);
  assert.equal(await api.exec(id, 'kill -0 $(cat /root/pid) && echo alive'), 'alive\n');
  assert.equal((await api.call('GET', `/v1/vms/${paused}`)).status, 'paused');
  await api.call('POST', `/v1/vms/${paused}/resume`);
  assert.equal(await api.exec(paused, 'echo ok'), 'ok\n');
});

test('a monitor that dies makes its VM an error, which start mends', async (t) => {
  const before = new Set(daemon.monitors().map((p) => p.pid));
  const id = await launched(t);
  await api.exec(id, 'echo kept > /root/f; sync');
  const mine = daemon.monitors().filter((p) => !before.has(p.pid) && /qemu/.test(p.command));
  assert.equal(mine.length, 1);
  process.kill(mine[0].pid, 'SIGKILL');
  await until(async () => (await api.call('GET', `/v1/vms/${id}`)).status === 'error', 'the loss to be seen');
  await api.call('POST', `/v1/vms/${id}/start`);
  assert.equal(await api.exec(id, 'cat /root/f'), 'kept\n');
});

test('nothing is left when all VMs are deleted', async () => {
  for (const vm of await api.call('GET', '/v1/vms')) await api.delete(vm.id);
  for (const s of await api.call('GET', '/v1/snapshots')) await api.call('DELETE', `/v1/snapshots/${s.id}`);
  await daemon.idle();
  assert.deepEqual(daemon.leftovers(), []);
  const { usage } = await api.call('GET', '/v1/org/quotas');
  assert.deepEqual(usage, { vcpu: 0, memoryMiB: 0, diskGiB: 0, snapshotCount: 0 });
});
