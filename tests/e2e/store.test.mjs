// SPDX-License-Identifier: Apache-2.0
// An image and a template with a waiting runtime go by an object store to another host, and a container's image
// becomes one of Holm's: both run real VMs.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bucket, Store } from '../component/s3_store.mjs';
import { Daemon, DATA, UID_COUNT, UID_FIRST } from './lib/holm.mjs';
import { makeTree, run } from './lib/kernels.mjs';
import { Api } from './lib/native.mjs';

const TMP = process.env.HOLM_E2E_TMP;

// Another host: the kernel is the same, images there are none.
function emptyData() {
  const data = mkdtempSync(join(TMP, 'host-'));
  symlinkSync(join(DATA, 'kernel'), join(data, 'kernel'));
  mkdirSync(join(data, 'images'));
  return data;
}

test('a template goes to another host, and its runtime waits there', async (t) => {
  const store = await Store.start();
  const set = { 's3.endpoint': store.url, 's3.bucket': bucket, 's3.access_key': 'S3RVER', 's3.secret_key': 'S3RVER' };
  t.after(() => store.stop());
  const here = await Daemon.start({ set });
  t.after(() => here.stop());
  await here.ready(['python']);
  const pushed = await here.holm(['image', 'push', '--what', 'both', 'python']);
  assert.equal(pushed.code, 0, pushed.stderr);
  assert.equal(await here.stop(), 0);

  const data = emptyData();
  const there = await Daemon.start({ data, uidFirst: UID_FIRST + UID_COUNT, set: { ...set, 'network.prefix': 'hte2t' } });
  t.after(() => there.stop());
  const pulled = await there.holm(['image', 'pull', '--what', 'both', 'python']);
  assert.equal(pulled.code, 0, pulled.stderr);
  await there.ready(['python']);
  const answer = await there.execute('python', 'import sys; print(sys.argv[1])', { args: ['hello'] });
  assert.deepEqual([answer.stdout, answer.stderr, answer.exit_code, answer.warm], ['hello\n', '', 0, true]);
  assert.doesNotMatch(there.log, /image=python\.\S+ booted/);
  assert.equal(await there.stop(), 0);
  assert.deepEqual(there.leftovers(), []);
  rmSync(data, { recursive: true });
});

// An OCI layout with this tree as its only layer, in a tar.
function containerOf(tree) {
  const dir = mkdtempSync(join(TMP, 'oci-')), blobs = join(dir, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const blob = (mediaType, bytes) => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (mediaType, object) => blob(mediaType, Buffer.from(JSON.stringify(object)));
  run('tar', '-c', '-f', `${tree}.tar`, '--owner=0', '--group=0', '-C', tree, '.');
  const layer = readFileSync(`${tree}.tar`);
  const config = json('application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64', os: 'linux', config: { Env: ['GREETING=from the container'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`] },
  });
  const manifest = json('application/vnd.oci.image.manifest.v1+json',
    { schemaVersion: 2, config, layers: [blob('application/vnd.oci.image.layer.v1.tar', layer)] });
  writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  writeFileSync(join(dir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  run('tar', '-c', '-f', `${dir}.tar`, '-C', dir, '.');
  return `${dir}.tar`;
}

test("a container's image is built, booted and used", async (t) => {
  const daemon = await Daemon.start();
  t.after(() => daemon.stop());
  const tree = makeTree('container');
  writeFileSync(join(tree, 'etc/motd'), 'of a container\n');
  const built = await daemon.holm(['image', 'build', '--from-oci', containerOf(tree), 'contained']);
  assert.equal(built.code, 0, built.stderr);
  const api = new Api(daemon);
  const vm = await api.launch({ image: 'contained' });
  assert.equal(await api.exec(vm.id, 'cat /etc/motd; echo $GREETING'), 'of a container\nfrom the container\n');
  await api.delete(vm.id);
  api.close();
  const removed = await daemon.holm(['image', 'rm', '-f', 'contained']);
  assert.equal(removed.code, 0, removed.stderr);
  assert.ok(!readdirSync(join(DATA, 'images')).includes('contained'));
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});
