// SPDX-License-Identifier: Apache-2.0
// Kernels and root file systems that somebody brings: uploaded over HTTP, booted, used.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createReadStream, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, DATA, until } from './lib/holm.mjs';
import { addModules, debianKernel, makeRootfs, makeTree, run, vmlinuxOf } from './lib/kernels.mjs';
import { Api } from './lib/native.mjs';

const TMP = process.env.HOLM_E2E_TMP;
const OWN_KERNEL = join(DATA, 'kernel/vmlinuz');
const OWN_RELEASE = readFileSync(join(DATA, 'kernel/version'), 'utf8').trim();

let daemon, api, plain;
test.before(async () => {
  daemon = await Daemon.start({ set: { 'engine.boot_timeout_s': 100 } }); // of a kernel that says nothing
  await daemon.ready(['bash']);
  api = new Api(daemon);
  plain = makeRootfs(makeTree('plain'));
});
test.after(async () => {
  api?.close();
  await daemon?.close();
});

const put = (id, part, file) =>
  api.request('PUT', `/v1/images/${id}/${part}`, createReadStream(file), { 'content-length': statSync(file).size });

// An image of these two files, gone at the test's end; its VMs are to be deleted before.
async function image(t, name, kernel, rootfs) {
  const { id } = await api.call('POST', '/v1/images', { name, description: 'for a test' });
  t.after(() => api.request('DELETE', `/v1/images/${id}`));
  for (const [part, file] of [['kernel', kernel], ['rootfs', rootfs]]) {
    const answer = await put(id, part, file);
    assert.equal(answer.status, 200, `${part}: ${answer.body}`);
  }
  return id;
}

// What every such VM has to do: run as it is, go on from a snapshot, as a fork, and after it was off.
async function lives(t, id, release) {
  const vm = await api.launch({ image: id, name: 'own' });
  assert.equal(vm.image, id);
  assert.equal(await api.exec(vm.id, 'uname -r'), `${release}\n`);
  assert.equal(await api.exec(vm.id, 'id -u; ls /etc/passwd'), '0\n/etc/passwd\n');
  assert.equal(await api.exec(vm.id, 'id -u', { user: '1000:1000' }), '1000\n');
  await api.exec(vm.id, 'mkdir /kept && touch /kept/file && sync');
  const answer = await api.request('DELETE', `/v1/images/${id}`);
  assert.equal(answer.status, 409);
  assert.match(answer.json.message, /in use: 1 VMs/);
  const snapshot = await api.call('POST', '/v1/snapshots', { vmId: vm.id });
  const { forks } = await api.fork(vm.id);
  const other = await api.launch({ snapshotId: snapshot.id });
  for (const copy of [forks[0].id, other.id]) {
    assert.equal(await api.exec(copy, 'ls /kept'), 'file\n');
    await api.delete(copy);
  }
  await api.call('POST', `/v1/vms/${vm.id}/stop`, {});
  await api.call('POST', `/v1/vms/${vm.id}/start`);
  assert.equal(await api.exec(vm.id, 'uname -r; ls /kept'), `${release}\nfile\n`);
  await api.delete(vm.id);
  assert.equal((await api.request('DELETE', `/v1/images/${id}`)).status, 409);
  await api.call('DELETE', `/v1/snapshots/${snapshot.id}`);
  await api.call('DELETE', `/v1/images/${id}`);
  assert.equal((await api.request('GET', `/v1/images/${id}`)).status, 404);
}

test("a root file system of one's own, with Debian's cloud kernel", async (t) => {
  await lives(t, await image(t, 'cloud', OWN_KERNEL, plain), OWN_RELEASE);
});

test('its file system grows with the disk', async (t) => {
  const id = await image(t, 'growing', OWN_KERNEL, plain);
  const vm = await api.launch({ image: id, diskGiB: 1 });
  const mib = Number(/(\d+) +\d+ +\d+ +\d+% \/\n/.exec(await api.exec(vm.id, 'df -m /'))[1]);
  assert.ok(mib > 900, `${mib} MiB`);
  await api.delete(vm.id);
});

test('the same kernel as a vmlinux', async (t) => {
  const file = join(TMP, 'vmlinux');
  writeFileSync(file, vmlinuxOf(readFileSync(OWN_KERNEL)));
  await lives(t, await image(t, 'vmlinux', file, plain), OWN_RELEASE);
});

test('another kernel, whose drivers are modules in the root file system', async (t) => {
  const kernel = debianKernel();
  if (!kernel) return t.skip('there is no package source to have a kernel from');
  const tree = makeTree('modules');
  addModules(kernel, tree);
  const id = await image(t, 'generic', kernel.file, makeRootfs(tree, '256M'));
  const vm = await api.launch({ image: 'generic' });
  assert.match(await api.exec(vm.id, 'cut -d" " -f1 /proc/modules'), /^virtio_blk$/m);
  await api.delete(vm.id);
  await lives(t, id, kernel.release);

  await t.test('packed, on a merged system', async (tt) => {
    const packed = makeTree('packed');
    mkdirSync(join(packed, 'usr'));
    const dir = addModules(kernel, join(packed, 'usr'));
    run('find', dir, '-name', '*.ko', '-exec', 'xz', '-0', '--check=crc32', '{}', '+');
    run('ln', '-s', 'usr/lib', join(packed, 'lib'));
    const file = makeRootfs(packed, '256M');
    const other = await image(tt, 'packed', kernel.file, file);
    const one = await api.launch({ image: other });
    assert.equal(await api.exec(one.id, 'uname -r'), `${kernel.release}\n`);
    await api.delete(one.id);
  });
});

test('a kernel that is none fails, and says so; others go on', async (t) => {
  const bytes = readFileSync(OWN_KERNEL);
  const file = join(TMP, 'garbage');
  bytes.fill(0xf4, ((bytes[0x1f1] || 4) + 1) * 512); // a CPU that halts for ever would be the worst: it is told to
  writeFileSync(file, bytes);
  const id = await image(t, 'garbage', file, plain);
  const { json: vm } = await api.request('POST', '/v1/vms', { image: id });
  const fine = await api.launch({ image: 'bash' });
  assert.equal(await api.exec(fine.id, 'echo fine'), 'fine\n');
  await api.delete(fine.id);
  let now;
  await until(async () => (now = await api.call('GET', `/v1/vms/${vm.id}`)).status === 'error', 'the VM to fail');
  assert.match(now.detail, /the image cannot be booted: .*(SeaBIOS|nothing on its console|agent)/);
  const failed = await api.call('GET', `/v1/images/${id}`);
  assert.equal(failed.state, 'failed');
  assert.match(failed.detail, /agent/);
  const again = await api.request('POST', '/v1/vms', { image: id });
  assert.ok([202, 409].includes(again.status), `${again.status} ${again.body}`);
  if (again.status === 409) assert.match(again.json.message, /cannot be booted/);
  else await api.delete(again.json.id);
  await api.delete(vm.id);
});

test('a kernel without a driver for its disk says that on its console', async (t) => {
  const kernel = debianKernel();
  if (!kernel) return t.skip('there is no package source to have a kernel from');
  const id = await image(t, 'diskless', kernel.file, plain);
  const { json: vm } = await api.request('POST', '/v1/vms', { image: id });
  let now;
  await until(async () => (now = await api.call('GET', `/v1/vms/${vm.id}`)).status === 'error', 'the VM to fail');
  assert.match(now.detail, /mount root \/dev\/vda/);
  await api.delete(vm.id);
});

test('files that are something else are refused, and what was there stays', async (t) => {
  const id = await image(t, 'kept', OWN_KERNEL, plain);
  const gz = join(TMP, 'gz');
  writeFileSync(gz, Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(8192)]));
  for (const [part, file, what] of [['kernel', gz, /gzip file: unpack it first/], ['rootfs', gz, /gzip file/],
    ['kernel', plain, /belongs to the rootfs/], ['rootfs', OWN_KERNEL, /a kernel/]]) {
    const answer = await put(id, part, file);
    assert.equal(answer.status, 400);
    assert.match(answer.json.message, what);
  }
  assert.equal((await api.call('GET', `/v1/images/${id}`)).state, 'ready');
  const key = readdirSync(join(DATA, 'images')).find((name) => /^[0-9a-z]{20}$/.test(name));
  assert.deepEqual(readdirSync(join(DATA, 'images', key)).filter((f) => f.startsWith('.')), []);
});

test('a shape that nobody has asked for before, and the default', async (t) => {
  const id = await image(t, 'default', OWN_KERNEL, plain);
  await api.call('POST', `/v1/images/${id}/set-default`);
  const vm = await api.launch();
  assert.equal(vm.image, id);
  await api.delete(vm.id);
  await api.call('DELETE', `/v1/images/${id}`);
  const names = (await api.call('GET', '/v1/images')).filter((i) => i.isDefault).map((i) => i.name);
  assert.deepEqual(names, ['typescript']);
});

test('holm image: from two files to a VM', async (t) => {
  const made = await daemon.holm(['image', 'create', 'cli', '--kernel', OWN_KERNEL, '--rootfs', plain, '--json']);
  assert.equal(made.code, 0, made.stderr);
  const { id } = JSON.parse(made.stdout);
  t.after(() => api.request('DELETE', `/v1/images/${id}`));
  const vm = await daemon.holm(['vm', 'create', '--image', 'cli', '--name', 'fromcli']);
  assert.equal(vm.code, 0, vm.stderr);
  const out = await daemon.holm(['vm', 'exec', 'fromcli', 'uname', '-r']);
  assert.equal(out.stdout.trim(), OWN_RELEASE);
  assert.equal((await daemon.holm(['vm', 'delete', '-f', 'fromcli'])).code, 0);
  const gone = await daemon.holm(['image', 'delete', '-f', 'cli']);
  assert.equal(gone.code, 0, gone.stderr);
});
