// SPDX-License-Identifier: Apache-2.0
// Images and templates in an object store: a real S3 server, two daemons on the fake engine, and faults between.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { promisify } from 'node:util';
import { idOf } from './crash.mjs';
import { Daemon, dropData, makeData } from './daemon.mjs';
import { Store, bucket } from './s3_store.mjs';

const MIB = 1024 * 1024;
const holm = join(resolve(process.env.HOLM_BUILD ?? 'build'), 'src/cli/holm');
const run = promisify(execFile);
let store;
before(async () => { store = await Store.start(); });
after(() => store.stop());
beforeEach(() => store.clear());

const env = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER', S3_BUCKET: bucket };
let prefixes = 0;

class Host {
  constructor(prefix, set = {}, environment = env) {
    this.options = { set: { 's3.endpoint': store.url, 's3.prefix': prefix, 's3.retry_ms': '1', ...set }, env: environment };
    this.dir = makeData();
  }

  async start() {
    this.d = await new Daemon(this.dir, this.options).ready();
    this.key = readFileSync(join(this.dir, 'admin.key'), 'utf8').trim();
    return this;
  }

  async call(method, path, body, status = 200) {
    const res = await this.d.fetch(path, { method, headers: { 'x-api-key': this.key, 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
    const text = await res.text();
    assert.equal(res.status, status, `${method} ${path}: ${res.status} ${text}`);
    await this.d.checkAnswer(method, path, res, text);
    return JSON.parse(text);
  }

  // What has become of it.
  async ended({ id }) {
    for (;;) {
      const b = await this.call('GET', `/v1/builds/${id}`);
      if (b.state !== 'waiting' && b.state !== 'running') return b;
      await new Promise((r) => setTimeout(r, 10));
    }
  }

  async push(name, what = 'image') {
    return this.ended(await this.call('POST', `/v1/images/${name}/push`, { what }, 202));
  }

  async pull(name, what = 'image') {
    return this.ended(await this.call('POST', '/v1/images/pull', { name, what }, 202));
  }

  // The command line, without a terminal: { stdout, stderr }, and a rejection with `code` when it fails.
  holm(...args) {
    return run(holm, args, { env: { PATH: process.env.PATH, HOLM_URL: this.d.url, HOLM_API_KEY: this.key } });
  }

  path(name, file = 'rootfs.ext4') {
    return join(this.dir, 'images', name, file);
  }

  leftovers() {
    return existsSync(join(this.dir, 'remote')) ? readdirSync(join(this.dir, 'remote')) : [];
  }

  async done() {
    await this.d?.stop();
    dropData(this.dir);
  }
}

async function withHosts(n, options, body) {
  const prefix = `test${++prefixes}`;
  const hosts = [];
  try {
    for (let i = 0; i < n; i++) hosts.push(await new Host(prefix, options.set, options.env).start());
    await body(...hosts, prefix);
  } finally {
    for (const h of hosts) await h.done();
  }
}

const fails = (b, pattern) => {
  assert.equal(b.state, 'failed', JSON.stringify(b));
  assert.match(b.detail, pattern);
};
const works = (b) => assert.equal(b.state, 'done', b.detail);

// Of what was pushed since then; the store tells whole seconds.
function isNow(when, since) {
  assert.match(when, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  assert.ok(Date.parse(when) >= since - 1000 && Date.parse(when) <= Date.now() + 1000, when);
}

// A sparse file with `mib` of what cannot be compressed, holes and zeros between.
function makeRootfs(path, mib) {
  rmSync(path, { force: true });
  const fd = openSync(path, 'w');
  ftruncateSync(fd, (mib * 3 + 10) * MIB);
  for (let i = 0; i < mib; i++) writeSync(fd, randomBytes(MIB), 0, MIB, i * 3 * MIB + (i % 7) * 4096);
  writeSync(fd, Buffer.alloc(MIB), 0, MIB, (mib * 3 + 2) * MIB);
  closeSync(fd);
}

test('an image goes from one host to another', () => withHosts(2, {}, async (a, b, prefix) => {
  const begun = Date.now();
  makeRootfs(a.path('python'), 20);
  writeFileSync(a.path('python', 'image.json'), '{"name": "python"}');
  rmSync(b.path('python'));
  works(await a.push('python'));
  const objects = store.objects().filter((k) => k.startsWith(prefix + '/'));
  assert.equal(objects.length, 3, objects.join(' '));
  assert.ok(objects.includes(`${prefix}/images/python/manifest`));
  assert.deepEqual(a.leftovers(), []);
  const remote = await b.call('GET', '/v1/images/remote');
  assert.equal(remote.length, 1);
  assert.deepEqual([remote[0].name, remote[0].kind, remote[0].path], ['python', 'image', `s3://${bucket}/${prefix}/images/python`]);
  assert.ok(remote[0].bytes > 20 * MIB && remote[0].bytes < 21 * MIB, `${remote[0].bytes}`);
  const { rootfs } = await (await b.d.fetch('/api/v1/rootfs?remote=true')).json();
  const there = rootfs.find((r) => r.language === 'python');
  assert.deepEqual([there.key, there.source, there.size, there.status], [`${prefix}/images/python`, 's3', remote[0].bytes, 'ready']);
  isNow(there.lastModified, begun);
  works(await b.pull('python'));
  assert.deepEqual(readFileSync(b.path('python')), readFileSync(a.path('python')));
  assert.equal(readFileSync(b.path('python', 'image.json'), 'utf8'), '{"name": "python"}');
  const [from, to] = [statSync(a.path('python')), statSync(b.path('python'))];
  assert.equal(to.size, from.size);
  assert.equal(Math.floor(to.mtimeMs), Math.floor(from.mtimeMs));
  assert.ok(to.blocks <= from.blocks, `${to.blocks} blocks of ${from.blocks}: holes are holes`);
  assert.deepEqual(b.leftovers(), []);
  const ran = await b.d.until('python', (l) => l.status === 'ready');
  assert.equal(ran.status, 'ready');
}));

test('the same by the command line', () => withHosts(2, {}, async (a, b, prefix) => {
  await a.d.settled();
  rmSync(b.path('nodejs'));
  assert.equal((await b.holm('image', 'list', '--remote', '--json')).stdout, '[]\n');
  assert.deepEqual(await a.holm('image', 'push', '--what', 'both', 'nodejs'), { stdout: '', stderr: '' });
  const { stdout } = await b.holm('image', 'list', '--remote');
  const rows = stdout.trim().split('\n').slice(1).map((line) => line.split(/  +/));
  assert.ok(rows.some((r) => r[0] === 'nodejs' && r[1] === 'image' && r.at(-1) === `s3://${bucket}/${prefix}/images/nodejs`), stdout);
  assert.ok(rows.some((r) => r[1] === 'template' && r.at(-1) === `s3://${bucket}/${prefix}/templates/${r[0]}`), stdout);
  assert.deepEqual(JSON.parse((await b.holm('image', 'list', '--remote', '--json')).stdout), await a.call('GET', '/v1/images/remote'));
  await b.holm('image', 'pull', 'nodejs', '--what', 'both');
  assert.deepEqual(readFileSync(b.path('nodejs')), readFileSync(a.path('nodejs')));
  const id = (await b.holm('image', 'pull', '--detach', 'nodejs')).stdout.trim();
  works(await b.ended({ id }));
  assert.match((await b.holm('image', 'builds')).stdout, new RegExp(`${id} +pull +nodejs +done`));
  await assert.rejects(b.holm('image', 'pull', 'nothing'), { code: 125, stderr: /the pull of nothing failed: .*has no image nothing/s });
  await assert.rejects(b.holm('image', 'push', 'nothing'), { code: 125, stderr: /there is no image 'nothing'/ });
}));

test('a push is no build', () => withHosts(1, {}, async (a) => {
  let release;
  const held = new Promise((done) => { release = done; });
  const reached = new Promise((done) => { store.fault = (r) => (r.method === 'PUT' ? (done(), held) : undefined); });
  const build = await a.call('POST', '/v1/images/python/push', { what: 'image' }, 202);
  await reached;
  const { rootfs } = await (await a.d.fetch('/api/v1/rootfs')).json();
  const python = rootfs.find((r) => r.language === 'python');
  assert.deepEqual([python.status, python.last_build], ['ready', undefined]);
  const refused = await a.d.post('/api/v1/rootfs', { language: 'python' });
  assert.equal(refused.status, 409);
  assert.match((await refused.json()).error, new RegExp(`^image python is being pushed \\(push, build ${idOf(build.id)}\\)$`));
  release();
  works(await a.ended(build));
}));

test('a second push replaces the first one, and only then', () => withHosts(1, {}, async (a, prefix) => {
  works(await a.push('c'));
  const first = store.objects().filter((k) => k.startsWith(prefix + '/'));
  writeFileSync(a.path('c'), 'another c');
  store.fault = (r) => (r.method === 'PUT' && r.path.endsWith('manifest') ? { status: 403, code: 'AccessDenied' } : undefined);
  fails(await a.push('c'), /does not allow s3.access_key/);
  assert.ok(first.every((k) => store.objects().includes(k)), 'what the manifest names is there');
  store.clear();
  works(await a.push('c'));
  assert.equal(store.count('POST'), 0, 'what was uploaded already is not again');
  const second = store.objects().filter((k) => k.startsWith(prefix + '/'));
  assert.equal(second.length, 2);
  assert.equal(second.filter((k) => first.includes(k)).length, 1, 'the manifest alone has the same name');
  works(await a.pull('c'));
  assert.equal(readFileSync(a.path('c'), 'utf8'), 'another c');
}));

test('refusals say what to change', () => withHosts(1, {}, async (a) => {
  const rows = [
    [{ status: 403, code: 'AccessDenied' }, /does not allow s3.access_key to do this/],
    [{ status: 403, code: 'InvalidAccessKeyId' }, /does not know s3.access_key/],
    [{ status: 404, code: 'NoSuchBucket' }, /no such bucket as s3.bucket says/],
    [{ status: 403, code: 'RequestTimeTooSkewed' }, /clock/],
    [{ status: 400, code: 'AuthorizationHeaderMalformed', region: 'eu-central-1' }, /in the region eu-central-1, not in us-east-1: set s3.region/],
    [{ status: 418, code: 'Teapot' }, /answered 418 Teapot to GET .*: for a test/],
    [{ status: 500, code: 'InternalError' }, /answered 500 InternalError/],
    [{ cut: 0 }, /the object store at http:/],
  ];
  for (const [fault, pattern] of rows) {
    store.clear();
    store.fault = () => fault;
    fails(await a.pull('python'), pattern);
    assert.equal(store.seen.length, [500].includes(fault.status) || fault.cut === 0 ? 7 : 1, 'tries');
  }
  assert.equal(readFileSync(a.path('python'), 'utf8'), 'python');
  store.clear();
  fails(await a.pull('nothing'), /has no image nothing/);
  assert.match((await a.call('POST', '/v1/images/pull', { name: '../x' }, 400)).message, /cannot be an image's name/);
  await a.call('POST', '/v1/images/nothing/push', {}, 404);
}));

test('a wrong secret is noticed by the store', () => withHosts(1, { env: { ...env, AWS_SECRET_ACCESS_KEY: 'wrong-secret' } }, async (a) => {
  fails(await a.pull('python'), /s3.secret_key is not that of s3.access_key/);
  assert.doesNotMatch(a.d.log, /wrong-secret/);
}));

test('without a store it is said that there is none', () => withHosts(1, { env: {} }, async (a) => {
  assert.match((await a.call('GET', '/v1/images/remote', undefined, 409)).message, /s3.bucket is not set/);
  assert.match((await a.call('POST', '/v1/images/python/push', {}, 409)).message, /s3.bucket is not set/);
  const res = await a.d.fetch('/api/v1/rootfs?remote=true');
  assert.equal(res.status, 400);
}));

const isManifest = (path) => /\/manifest[^/]*$/.test(path);

// Each of them some times, then none: nothing is lost, nothing wrong is put in place.
test('faults on the way in and out lose nothing', () => withHosts(2, {}, async (a, b) => {
  makeRootfs(a.path('python'), 30);
  let n = 0;
  const kinds = [{ status: 500, code: 'InternalError' }, { status: 503, code: 'SlowDown' }, { cut: 0 }, { damage: true }, { lose: true }];
  // Two for each request: of several at the same time one might have them all, and is given up after seven.
  const had = new Map();
  store.fault = (r) => {
    const mine = had.get(r.url) ?? 0;
    if (r.method === 'GET' || mine === 2 || n === 2 * kinds.length) return undefined;
    had.set(r.url, mine + 1);
    return kinds[n++ >> 1];
  };
  works(await a.push('python'));
  assert.ok(n >= 10, `${n} faults`);
  assert.ok(store.refused >= 1, 'damage on the way was noticed');
  const before = readFileSync(b.path('python'));
  n = 0;
  const ways = [{ status: 500, code: 'InternalError' }, { cut: 1 }, { cut: 100000 }, { flip: true }, { status: 503, code: 'SlowDown' }];
  store.fault = (r) => (r.range && n < 10 && n++ % 2 === 0 ? ways[(n >> 1) % ways.length] : undefined);
  assert.deepEqual(readFileSync(b.path('python')), before);
  works(await b.pull('python'));
  assert.ok(n >= 4, `${n} of the parts' requests`);
  assert.deepEqual(readFileSync(b.path('python')), readFileSync(a.path('python')));
}));

test('what is damaged on its way to the store is refused and sent again', () => withHosts(2, {}, async (a, b, prefix) => {
  makeRootfs(a.path('python'), 10);
  const is = { part: (r) => r.query.has('partNumber'), end: (r) => r.method === 'POST' && r.query.has('uploadId'), manifest: (r) => r.method === 'PUT' && isManifest(r.path) };
  for (const [what, fits] of Object.entries(is)) {
    store.clear();
    store.fault = (r) => (fits(r) ? { damage: true } : undefined);
    fails(await a.push('python'), /answered 400 XAmzContentSHA256Mismatch/);
    assert.ok(store.refused >= 7, `${what}: ${store.refused} refused`);
    assert.ok(!store.objects().some((k) => k.startsWith(prefix + '/') && isManifest(k)), what);
  }
  store.clear();
  const left = Object.values(is);
  store.fault = (r) => {
    const i = left.findIndex((fits) => fits(r));
    return i >= 0 && left.splice(i, 1) ? { damage: true } : undefined;
  };
  writeFileSync(a.path('python', 'image.json'), '{"name": "python"}');
  works(await a.push('python'));
  assert.deepEqual([left.length, store.refused], [0, 3]);
  works(await b.pull('python'));
  assert.deepEqual(readFileSync(b.path('python')), readFileSync(a.path('python')));
}));

test('what is damaged in the store is never put in place', () => withHosts(2, {}, async (a, b) => {
  makeRootfs(a.path('python'), 10);
  works(await a.push('python'));
  store.fault = (r) => (r.range ? { flip: true } : undefined);
  fails(await b.pull('python'), /is damaged in the object store, at byte \d+/);
  assert.equal(readFileSync(b.path('python'), 'utf8'), 'python');
  store.clear();
  const damagedManifest = (text) => { store.fault = (r) => (r.path.endsWith('manifest') ? text : undefined); };
  damagedManifest({ cut: 100 });
  fails(await b.pull('python'), /the object store at/);
  for (const before of ['"sha256":"', '"parts":[{"bytes":', '"extents":[', '{']) {
    damagedManifest({ flip: before });
    fails(await b.pull('python'), /damaged|is not what its manifest says|manifest makes no sense/);
    assert.equal(readFileSync(b.path('python'), 'utf8'), 'python');
  }
  store.clear();
  works(await b.pull('python'));
  assert.deepEqual(readFileSync(b.path('python')), readFileSync(a.path('python')));
}));

test('a store that falls silent is asked again', () => withHosts(1, { set: { 's3.stall_s': '1' } }, async (a) => {
  works(await a.push('python'));
  let silent = 1;
  store.fault = (r) => (r.range && silent-- > 0 ? new Promise(() => {}) : undefined);
  writeFileSync(a.path('python'), 'another python');
  works(await a.pull('python'));
  assert.equal(store.seen.filter((r) => r.range).length, 2);
  assert.equal(readFileSync(a.path('python'), 'utf8'), 'python');
}));

test('a file that changes while it is pushed is not named by a manifest', () => withHosts(1, {}, async (a, prefix) => {
  makeRootfs(a.path('python'), 10);
  store.fault = (r) => {
    if (r.query.has('partNumber')) utimesSync(a.path('python'), 1, 1);
    return undefined;
  };
  fails(await a.push('python'), /rootfs\.ext4 was replaced while it was pushed; push it again/);
  assert.ok(!store.objects().some((k) => k.startsWith(prefix + '/') && isManifest(k)));
  store.clear();
  works(await a.push('python'));
}));

// It claims more than any disk has.
test('what the disk has no room for is not begun', () => withHosts(1, {}, async (a, prefix) => {
  works(await a.push('python'));
  const manifest = JSON.parse(store.read(`${prefix}/images/python/manifest`).split('\n')[0]);
  const most = 64 * 1024 * MIB;
  const [part] = manifest.files[0].parts;
  const huge = { ...manifest.files[0], bytes: most, parts: [{ ...part, extents: [0, most] }] };
  manifest.files = Array.from({ length: 32 }, (_, i) => ({ ...huge, name: i ? `file${i}` : huge.name }));
  const text = JSON.stringify(manifest);
  const sealed = `${text}\n${createHash('sha256').update(text).digest('hex')}\n`;
  store.clear();
  store.fault = (r) => (isManifest(r.path) ? { body: sealed } : undefined);
  fails(await a.pull('python'), /^the host's disk has no room for python$/);
  assert.equal(store.seen.filter((r) => r.range).length, 0);
  assert.equal(readFileSync(a.path('python'), 'utf8'), 'python');
}));

test('a store that cannot list parts is believed, and a push goes on', () => withHosts(2, {}, async (a, b) => {
  makeRootfs(a.path('python'), 60);
  const partPut = (r) => r.method === 'PUT' && r.query.has('partNumber');
  const lists = (r) => r.method === 'GET' && r.query.has('uploadId');
  const stuck = new Promise(() => {});
  let n = 0;
  const reached = new Promise((done) => {
    store.fault = (r) => (partPut(r) && ++n > 3 ? (done(), stuck) : undefined);
  });
  await a.call('POST', '/v1/images/python/push', {}, 202);
  await reached;
  await a.d.kill('SIGKILL');
  store.clear();
  store.fault = (r) => (lists(r) ? { status: 501, code: 'NotImplemented' } : undefined);
  await a.start();
  works(await a.push('python'));
  assert.equal(store.seen.filter(lists).length, 1, 'a refusal is not asked for again');
  const sent = store.seen.filter(partPut).map((r) => Number(r.query.get('partNumber')));
  assert.ok(sent.length >= 2 && !sent.includes(1) && !sent.includes(2), `sent again: ${sent}`);
  works(await b.pull('python'));
  assert.deepEqual(readFileSync(b.path('python')), readFileSync(a.path('python')));
}));

test('a daemon that is killed goes on where it was, both ways', () => withHosts(2, {}, async (a, b) => {
  makeRootfs(a.path('python'), 60);
  // The fourth part on its way never arrives.
  const stuck = new Promise(() => {});
  const hold = (is) => { let n = 0; store.fault = (r) => (is(r) && ++n > 3 ? stuck : undefined); return store.next((r) => is(r) && n >= 4); };
  const partPut = (r) => r.method === 'PUT' && r.query.has('partNumber');
  let reached = hold(partPut);
  await a.call('POST', '/v1/images/python/push', {}, 202);
  await reached;
  await a.d.kill('SIGKILL');
  assert.deepEqual(readdirSync(join(a.dir, 'remote')), ['push-image-python']);
  store.clear();
  await a.start();
  works(await a.push('python'));
  const sent = store.seen.filter(partPut).map((r) => Number(r.query.get('partNumber')));
  assert.ok(sent.length >= 2 && !sent.includes(1) && !sent.includes(2), `sent again: ${sent}`);
  assert.equal(store.count('POST', /uploads=/), 0, 'no new upload');

  const partGet = (r) => r.method === 'GET' && r.range;
  store.clear();
  reached = hold(partGet);
  await b.call('POST', '/v1/images/pull', { name: 'python' }, 202);
  await reached;
  await b.d.kill('SIGKILL');
  assert.equal(readFileSync(b.path('python'), 'utf8'), 'python');
  const all = sent.length;
  store.clear();
  await b.start();
  works(await b.pull('python'));
  const ranges = store.seen.filter(partGet).map((r) => r.range);
  assert.ok(ranges.length < all + 3 && !ranges.some((r) => r.startsWith('bytes=0-')), `fetched again: ${ranges}`);
  assert.deepEqual(readFileSync(b.path('python')), readFileSync(a.path('python')));
  assert.deepEqual(b.leftovers(), []);
}));

test('a pull can be cancelled', () => withHosts(2, {}, async (a, b) => {
  makeRootfs(a.path('python'), 20);
  works(await a.push('python'));
  const reached = store.next((r) => r.range);
  const inner = store.fault;
  store.fault = (r) => inner(r) ?? (r.range ? new Promise(() => {}) : undefined);
  const build = await b.call('POST', '/v1/images/pull', { name: 'python' }, 202);
  await reached;
  await b.call('DELETE', `/v1/builds/${build.id}`);
  assert.equal((await b.ended(build)).state, 'cancelled');
  assert.equal(readFileSync(b.path('python'), 'utf8'), 'python');
}));

test('templates fit only where all is the same', () => withHosts(2, {}, async (a, b) => {
  await a.d.settled();
  const begun = Date.now();
  works(await a.push('python', 'both'));
  rmSync(b.path('python'));
  fails(await b.pull('python', 'template'), /this host has no image python/);
  writeFileSync(b.path('python'), 'another python');
  fails(await b.pull('python', 'template'), /made with another image than this host's/);
  const { snapshots } = await (await b.d.fetch('/api/v1/snapshots?remote=true')).json();
  const there = snapshots.find((s) => s.language === 'python');
  assert.match(there.s3_path, /^s3:.*\/templates\/python$/);
  isNow(there.lastModified, begun);
  works(await b.pull('python', 'both'));
  await b.d.until('python', (l) => l.status === 'ready');
  const ran = await (await b.d.execute({ language: 'python', code: 'print hello' })).json();
  assert.equal(typeof ran.exit_code, 'number');
}));

test('a language whose image is not here is pulled when it is wanted', () => withHosts(2, { set: { 's3.pull_on_demand': 'yes' } }, async (a, b) => {
  works(await a.push('python'));
  await b.d.settled();
  await b.d.stop();
  rmSync(join(b.dir, 'images', 'python'), { recursive: true });
  await b.start();
  await b.d.until('python', (l) => l.status === 'missing');
  // The store is slow: all of it is in these runs' load_time, and nothing of it in that of the next one.
  const slow_us = 2000000;
  store.fault = (r) => (r.range ? new Promise((done) => { setTimeout(done, slow_us / 1000); }) : undefined);
  const hello = async () => {
    const res = await b.d.execute({ language: 'python', code: 'print hello' });
    const answer = await res.json();
    assert.equal(res.status, 200, JSON.stringify(answer));
    return answer.load_time_us;
  };
  for (const us of await Promise.all([hello(), hello(), hello()])) assert.ok(us >= slow_us, `${us} us`);
  assert.equal(store.seen.filter((r) => r.range).length, 1, 'pulled once for all');
  store.clear();
  await hello();
  assert.equal(store.seen.length, 0, 'no pull is in its load_time');
}));

// A store that has lost an object, but not the manifest that names it.
test('an object that is not there is asked for a few times, not for ever', () => withHosts(2, { set: { 's3.pull_on_demand': 'yes' } }, async (a, b) => {
  works(await a.push('python'));
  await b.d.settled();
  await b.d.stop();
  rmSync(join(b.dir, 'images', 'python'), { recursive: true });
  await b.start();
  await b.d.until('python', (l) => l.status === 'missing');
  store.clear();
  const isLost = (r) => r.method === 'GET' && /rootfs\.ext4\.[a-z0-9]+\.zst$/.test(r.path);
  store.fault = (r) => (isLost(r) ? { status: 404, code: 'NoSuchKey' } : undefined);
  const run = await b.d.execute({ language: 'python', code: 'print hello' });
  assert.equal(run.status, 502);
  assert.match((await run.json()).error, /pull image python: it was replaced in the object store meanwhile/);
  assert.ok(store.count('GET', /manifest/) <= 3, `${store.count('GET', /manifest/)} tries`);
  fails(await b.pull('python'), /replaced in the object store meanwhile/);
}));

test('a list that does not come is not waited for when the daemon ends', () => withHosts(1, {}, async (a) => {
  const reached = store.next((r) => r.query.has('list-type'));
  const inner = store.fault;
  store.fault = (r) => inner(r) ?? (r.query.has('list-type') ? new Promise(() => {}) : undefined);
  const asked = a.d.fetch('/v1/images/remote', { headers: { 'x-api-key': a.key } }).then((res) => res.status, () => 'cut');
  await reached;
  const t0 = Date.now();
  await a.d.stop();
  assert.ok(Date.now() - t0 < 20000, `${Date.now() - t0} ms`);
  assert.ok([502, 'cut'].includes(await asked), await asked);
}));

// Keys of others, and sizes that cannot be.
test('a list that lies lists nothing that is not there', () => withHosts(1, {}, async (a, prefix) => {
  const object = (key, size) => `<Contents><Key>${key}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>${size}</Size></Contents>`;
  const most = '9223372036854775807';
  const keys = ['x', `${'y'.repeat(prefix.length)}/images/other/manifest`, `${prefix}/images/it/manifest`, `${prefix}/images/it/rootfs.ext4`];
  store.fault = (r) => (r.query.has('list-type') ? { body: `<ListBucketResult>${keys.map((k) => object(k, most)).join('')}</ListBucketResult>` } : undefined);
  const { rootfs } = await (await a.d.fetch('/api/v1/rootfs?remote=true')).json();
  assert.deepEqual(rootfs, []);
  const res = await a.d.fetch('/v1/images/remote', { headers: { 'x-api-key': a.key } });
  const text = await res.text();
  assert.equal(res.status, 200, text);
  assert.deepEqual(JSON.parse(text).filter((i) => i.kind === 'image').map((i) => i.name), ['it']);
  assert.ok(text.includes(`"bytes":${most}`) || text.includes(`"bytes": ${most}`), text);
}));
