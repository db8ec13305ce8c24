// SPDX-License-Identifier: Apache-2.0
// Uploads and downloads of the rds API, for whatever daemon and VM a test file has: the fake engine's and
// real ones must answer the same.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { checkAnswer } from './openapi_check.mjs';
import { END, entry, header, list, long, pax, refused, tar, tgz, tgzOfSize } from './tar.mjs';

const MIB = 1 << 20;

// One VM, as these tests see it. `base`: of the listener; `vm`: its id without prefix.
export class Files {
  constructor(base, key, vm) {
    Object.assign(this, { base, key, vm, rds: `${base}/rds/v1/vms/vm-${vm}/files` });
  }

  // Against the daemon's own OpenAPI document.
  async hold(method, path, { status, headers }, body) {
    this.document ??= fetch(`${this.base}/openapi.json`).then((r) => r.json());
    checkAnswer(await this.document, method, path, status, headers, body);
  }

  async answer(method, res) {
    const body = Buffer.from(await res.arrayBuffer());
    await this.hold(method, new URL(res.url).pathname, res, body);
    let json;
    try { json = JSON.parse(body); } catch { json = undefined; }
    return { status: res.status, headers: res.headers, body, json, message: json?.message };
  }

  async upload(dest, body, { type = 'application/gzip', headers = {}, query } = {}) {
    const q = query ?? `dest=${encodeURIComponent(dest)}`;
    return this.answer('POST', await fetch(`${this.rds}/upload?${q}`, {
      method: 'POST', body, duplex: 'half', headers: { 'x-api-key': this.key, ...(type && { 'content-type': type }), ...headers },
    }));
  }

  // Sends `first` and then `more` again and again, until there is an answer or the connection is cut. Not by fetch, which
  // went on taking a body that never ends when the connection was gone, until there was no memory left.
  async uploadEndless(dest, first, more) {
    const rq = request(`${this.rds}/upload?dest=${encodeURIComponent(dest)}`, {
      method: 'POST', headers: { 'x-api-key': this.key, 'content-type': 'application/gzip' } });
    rq.on('error', () => {}); // the connection's end is the answer, or its lack
    const cut = once(rq, 'close').then(() => undefined, () => undefined);
    const response = Promise.race([once(rq, 'response').then(([res]) => res, () => undefined), cut]);
    let over = false, sent = 0;
    response.then(() => { over = true; });
    for (let piece = first; !over; piece = more) {
      sent += piece.length;
      if (!rq.write(piece)) await Promise.race([once(rq, 'drain').catch(() => {}), response]);
    }
    const res = await response;
    const chunks = res ? await res.toArray().catch(() => []) : [];
    rq.destroy();
    if (chunks.length) await this.hold('POST', rq.path, { status: res.statusCode, headers: res.headers }, Buffer.concat(chunks));
    return { status: res?.statusCode, sent, message: chunks.length ? JSON.parse(Buffer.concat(chunks)).message : undefined };
  }

  async download(path, { query } = {}) {
    return this.answer('GET', await fetch(`${this.rds}/download?${query ?? `path=${encodeURIComponent(path)}`}`, { headers: { 'x-api-key': this.key } }));
  }

  // Of the native API, which shows what is really there.
  async native(method, path, more = {}) {
    const res = await fetch(`${this.base}/v1/vms/${this.vm}${path}`, { method, ...more, headers: { 'x-api-key': this.key, ...more.headers } });
    await this.hold(method, new URL(res.url).pathname, res, Buffer.from(await res.clone().arrayBuffer()));
    return res;
  }

  // Everything below a directory: {path: "type mode size mtime"}; missing: null.
  async tree(dir) {
    const res = await this.native('GET', `/files?path=${encodeURIComponent(dir)}&list=1`);
    if (res.status === 404) return null;
    assert.equal(res.status, 200);
    const found = {};
    for (const e of (await res.json()).entries) {
      found[e.path] = `${e.type} ${e.mode} ${e.type === 'dir' ? '' : e.size} ${e.uid}`;
      if (e.type === 'dir') Object.assign(found, await this.tree(e.path));
    }
    return found;
  }

  // What an attack could have written to.
  async world() {
    const found = {};
    for (const dir of ['/workspace', '/etc', '/tmp', '/home']) found[dir] = await this.tree(dir);
    const root = await (await this.native('GET', '/files?path=/&list=1')).json();
    found['/'] = root.entries.map((e) => `${e.name} ${e.type} ${e.mode}`).sort();
    return found;
  }

  async remove(path) {
    await (await this.native('DELETE', `/files?path=${encodeURIComponent(path)}`)).arrayBuffer();
  }

  // A tar as it is, by root and the guest's own tar: how links come to be there.
  async plant(dir, archive) {
    const res = await this.native('POST', '/exec', {
      body: JSON.stringify({ command: ['tar', '-x', '-C', dir], stdin: archive.toString('base64') }), headers: { 'content-type': 'application/json' } });
    const answer = await res.json();
    assert.deepEqual([res.status, answer.exitCode, answer.stderr], [200, 0, '']);
  }

  async read(path) {
    const res = await this.native('GET', `/files?path=${encodeURIComponent(path)}`);
    assert.equal(res.status, 200, path);
    return Buffer.from(await res.arrayBuffer());
  }
}

const names = (entries) => entries.map((e) => `${e.name} ${e.type} ${e.mode.toString(8)} ${e.data}`).sort();

function whatIsRefused(files) {
  for (const [what, body, status, message] of refused())
    test(`refused, and nothing written: ${what}`, async () => {
      const f = files(), before = await f.world();
      const answer = await f.upload('/workspace/evil/dest', body);
      assert.equal(answer.message, message);
      assert.equal(answer.status, status);
      assert.deepEqual(await f.world(), before);
    });
}

function wherePathsLead(files) {
  const outside = ['/workspace/../etc', '/workspace/..', '/', '/etc', '/workspacex', '/home/user/x', '..', 'a/../../x', '/workspace/./../x'];
  test('dest and path must be within the workspace', async () => {
    const f = files(), before = await f.world(), body = tgz(entry('evil', 'x'));
    for (const path of outside) {
      const up = await f.upload(path, body), down = await f.download(path);
      assert.deepEqual([up.status, up.json], [400, { message: 'dest must be within /workspace', field: 'dest' }], path);
      assert.deepEqual([down.status, down.json], [400, { message: 'path must be within /workspace', field: 'path' }], path);
    }
    for (const query of ['dest=/workspace/%2e%2e/etc', 'dest=%2Fworkspace%2F..%2Fetc', 'dest=/workspace//..//etc'])
      assert.equal((await f.upload('', body, { query })).message, 'dest must be within /workspace', query);
    for (const query of ['', 'dest=']) assert.equal((await f.upload('', body, { query })).message, 'dest is required');
    for (const query of ['', 'path=']) assert.equal((await f.download('', { query })).message, 'path is required');
    assert.equal((await f.upload(`/workspace/${'n/'.repeat(2100)}`, body)).message, 'dest is too long');
    assert.equal((await f.upload('/workspace/a%00b', body, { query: 'dest=/workspace/a%00b' })).status, 400);
    assert.deepEqual(await f.world(), before);
  });

  test('links in the VM are not followed, wherever they stand and lead', async () => {
    const f = files(), body = tgz(entry('evil', 'x'));
    assert.equal((await f.upload('/workspace', tgz())).status, 204);
    await f.plant('/workspace', tar(header('real/', { type: '5', mode: 0o777 }), header('out', { type: '2', link: '/etc' }),
      header('back', { type: '2', link: 'real' })));
    const before = await f.world();
    for (const path of ['out', 'out/deeper', 'back', 'back/deeper']) {
      const up = await f.upload(`/workspace/${path}`, body), down = await f.download(`/workspace/${path}`);
      assert.deepEqual([up.status, up.message], [400, `${path}: a symbolic link, which is not followed`]);
      assert.deepEqual([down.status, down.message], [400, `${path}: a symbolic link, which is not followed`]);
    }
    const through = await f.upload('/workspace', tgz(entry('out/evil', 'x')));
    assert.deepEqual([through.status, through.message], [400, 'out/evil: a symbolic link, which is not followed']);
    assert.deepEqual(await f.world(), before);
    assert.deepEqual(list((await f.download('/workspace')).body).filter((e) => e.type === '2').map((e) => `${e.name} ${e.link}`).sort(),
      ['./back real', './out /etc']);
    // One that stands where a file goes is replaced.
    assert.equal((await f.upload('/workspace', tgz(entry('out', 'a file now')))).status, 204);
    assert.equal((await f.read('/workspace/out')).toString(), 'a file now');
    for (const path of ['/workspace/real', '/workspace/out', '/workspace/back']) await f.remove(path);
  });
}

function whatComesThrough(files) {
  test('all kinds of names and files, there and back', async () => {
    const f = files(), deep = `${'deep/'.repeat(300)}end`, name = `${'ü'.repeat(120)}/日本語 "quoted" \\ name`;
    const up = await f.upload('/workspace/trip', tgz(
      entry('./', '', { type: '5' }), entry('./empty dir/', '', { type: '5', mode: 0o700 }), entry('./plain', 'text\n'),
      entry('run', '#!/bin/sh\n', { mode: 0o6755 }), entry('zero', ''), pax('path', name), entry('cut', 'utf-8'), long(deep, 'deep'),
      entry('old/', '', { magic: '' }), entry('old/file', 'v7', { type: '\0', magic: '' }), entry('secret', 'x', { mode: 0o400 })));
    assert.equal(up.message, undefined);
    assert.equal(up.status, 204);
    assert.equal(up.body.length, 0);
    const down = await f.download('/workspace/trip');
    assert.equal(down.status, 200);
    assert.equal(down.headers.get('content-type'), 'application/gzip');
    assert.equal(down.headers.get('content-disposition'), 'attachment; filename="trip.tar.gz"');
    const files_ = list(down.body).filter((e) => e.type === '0');
    assert.deepEqual(names(files_), [
      './old/file 0 644 v7', './plain 0 644 text\n', './run 0 755 #!/bin/sh\n', './secret 0 600 x', './zero 0 644 ',
      `./${deep} 0 644 deep`, `./${name} 0 644 utf-8`].sort());
    assert.ok(list(down.body).some((e) => e.name === './empty dir/' && e.type === '5' && e.mode === 0o700));
    assert.ok(files_.every((e) => e.uid === 1000 && e.gid === 1000 && e.mtime === 1700000000));
    const tree = await f.tree('/workspace/trip');
    assert.equal(tree['/workspace/trip/run'], 'file 0755 10 1000');
    assert.match(tree['/workspace/trip/empty dir'], /^dir 0700 {2}1000$/);
    const one = await f.download(`/workspace/trip/${deep}`);
    assert.deepEqual(names(list(one.body)), ['end 0 644 deep']);
    assert.equal((await f.download('trip/empty dir')).status, 200);
    await f.remove('/workspace/trip');
  });

  test('an upload over what is there', async () => {
    const f = files();
    await f.upload('/workspace/over', tgz(entry('a', 'a long first text'), entry('d/keep', 'kept')));
    assert.equal((await f.upload('over/./x/..', tgz(entry('a', 'new'), entry('b', '1'), entry('b', '2')))).status, 204);
    assert.deepEqual(names(list((await f.download('/workspace/over')).body).filter((e) => e.type === '0')),
      ['./a 0 644 new', './b 0 644 2', './d/keep 0 644 kept']);
    const conflict = await f.upload('/workspace/over', tgz(entry('d', 'a file')));
    assert.deepEqual([conflict.status, /^.*d: Is a directory$/.test(conflict.message)], [409, true], conflict.message);
    const below = await f.upload('/workspace/over/a', tgz(entry('x')));
    assert.deepEqual([below.status, /a: Not a directory$/.test(below.message)], [409, true], below.message);
    await f.remove('/workspace/over');
  });

  test('an archive of nothing makes the directory', async () => {
    const f = files();
    assert.equal((await f.upload('/workspace/nothing', tgz())).status, 204);
    assert.deepEqual(await f.tree('/workspace/nothing'), {});
    assert.equal(list((await f.download('/workspace/nothing')).body).filter((e) => e.type === '0').length, 0);
    await f.remove('/workspace/nothing');
  });

  test('missing: 404', async () => {
    const f = files(), answer = await f.download('/workspace/none/such');
    assert.equal(answer.status, 404);
    assert.match(answer.message, /none\/such: no such file or directory$/);
  });
}

function bounds(files) {
  test('exactly at the limits', async () => {
    const f = files(), random = randomBytes(9 * MIB);
    const cases = [
      ['10 MiB', tgzOfSize('big', random, 10 * MIB)],
      ['10 MiB less a byte', tgzOfSize('big', random, 10 * MIB - 1)],
      ['50 MiB', tgz(entry('zeros', Buffer.alloc(50 * MIB)))],
      ['10,000 entries', tgz(...Array.from({ length: 10000 }, (_, i) => entry(`d${i % 50}/f${i}`)))],
    ];
    for (const [what, body] of cases) {
      const answer = await f.upload('/workspace/limit', body);
      assert.deepEqual([answer.status, answer.message], [204, undefined], what);
      const back = list((await f.download('/workspace/limit')).body).filter((e) => e.type === '0');
      if (what === '50 MiB') assert.ok(back[0].data.length === 50 * MIB && back[0].data.every((b) => b === 0));
      else if (what === '10,000 entries') assert.equal(back.length, 10000);
      else assert.ok(back[0].data.equals(random), what);
      await f.remove('/workspace/limit');
    }
  });

  test('too much is refused when it shows, however it is sent', async () => {
    const f = files(), before = await f.world(), mib = randomBytes(MIB);
    // A stored block's header and what it announces: zlib takes what comes as long as it is told that more follows.
    const first = tgzOfSize('x', randomBytes(MIB), MIB + 4096).subarray(0, MIB);
    const { status, sent, message } = await f.uploadEndless('/workspace/evil', first, mib);
    assert.ok(sent < 100 * MIB, `${sent} bytes were taken`);
    if (status) assert.ok([400, 413].includes(status), message);
    assert.deepEqual(await f.world(), before);
  });

  test('what is no gzip by its type: 415', async () => {
    const f = files();
    await f.upload('/workspace', tgz());
    const before = await f.world();
    for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x', 'application/x-tar']) {
      const answer = await f.upload('/workspace/evil', tgz(entry('evil')), { type });
      assert.deepEqual([answer.status, answer.message], [415, 'Content-Type must be application/gzip']);
    }
    for (const type of ['application/x-gzip', 'application/octet-stream', 'Application/GZIP; x=y'])
      assert.equal((await f.upload('/workspace', tgz(), { type })).status, 204);
    assert.deepEqual(await f.world(), before);
  });

  test('clients that go away leave nothing', async () => {
    const f = files(), before = await f.world(), part = tgz(entry('evil', randomBytes(MIB))).subarray(0, 500_000);
    for (let i = 0; i < 5; i++) {
      const ac = new AbortController();
      async function* half() {
        yield part;
        ac.abort();
        yield part;
      }
      await assert.rejects(fetch(`${f.rds}/upload?dest=/workspace/evil`, {
        method: 'POST', body: half(), duplex: 'half', signal: ac.signal,
        headers: { 'x-api-key': f.key, 'content-type': 'application/gzip' } }));
    }
    assert.deepEqual(await f.world(), before);
    await f.upload('/workspace/down', tgz(entry('big', randomBytes(8 * MIB))));
    for (let i = 0; i < 5; i++) {
      const ac = new AbortController();
      const res = await fetch(`${f.rds}/download?path=/workspace/down`, { headers: { 'x-api-key': f.key }, signal: ac.signal });
      await res.body.getReader().read();
      ac.abort();
    }
    assert.equal(list((await f.download('/workspace/down')).body).find((e) => e.type === '0').size, 8 * MIB);
    await f.remove('/workspace/down');
  });
}

function whoMay(files) {
  test('of no VM, without a key, of another kind of id', async () => {
    const f = files(), none = '00000000-0000-8000-8000-000000000000', body = tgz(entry('x'));
    const as = (vm, key = f.key) => Object.assign(new Files(f.base, key, vm), { rds: `${f.base}/rds/v1/vms/${vm}/files` });
    for (const [vm, key, status, message] of [[`vm-${none}`, f.key, 404, 'VM not found'], ['nonsense', f.key, 400, 'Invalid VM id'],
      [`vm-${f.vm}`, 'wrong', 401, 'Unauthorized']]) {
      const up = await as(vm, key).upload('/workspace', body), down = await as(vm, key).download('/workspace');
      assert.deepEqual([up.status, up.message, down.status, down.message], [status, message, status, message]);
    }
  });

  test('of a VM that does not run: 409', async () => {
    const f = files();
    assert.equal((await f.native('POST', '/pause')).status, 200);
    const up = await f.upload('/workspace', tgz(entry('x'))), down = await f.download('/workspace');
    assert.deepEqual([up.status, up.message], [409, 'VM must be RUNNING to upload files (state=PAUSED)']);
    assert.deepEqual([down.status, down.message], [409, 'VM must be RUNNING to download files (state=PAUSED)']);
    assert.equal((await f.native('POST', '/resume')).status, 200);
  });
}

// Declares the tests; `files()` is asked when one runs.
export function fileTests(files) {
  whatIsRefused(files);
  wherePathsLead(files);
  whatComesThrough(files);
  bounds(files);
  whoMay(files);
}

export { END };
