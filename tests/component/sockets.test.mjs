// SPDX-License-Identifier: Apache-2.0
// What is more than a request and an answer, through the whole daemon on the fake engine: terminals over
// WebSockets, files of any size, output as it comes.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { withDaemon } from './daemon.mjs';
import { BINARY, Socket, TEXT } from './websocket.mjs';

// A daemon with one VM; `api` is fetch with its key.
async function withVm(body) {
  await withDaemon({ set: { 'pool.default': 0 } }, async (d) => {
    await d.settled();
    const key = readFileSync(join(d.dir, 'admin.key'), 'utf8').trim();
    const api = (path, options = {}) =>
      d.fetch(path, { ...options, headers: { 'x-api-key': key, ...options.headers } });
    const post = (path, value) =>
      api(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
    const launched = await post('/v1/vms', { image: 'bash' });
    assert.equal(launched.status, 201);
    const vm = `/v1/vms/${(await launched.json()).id}`;
    const put = (path, content) => api(`${vm}/files?path=${path}`, { method: 'PUT', body: content });
    await body({ d, key, api, post, put, vm });
  });
}

async function terminal({ d, post, put, vm }, program) {
  assert.equal((await put('/program', program)).status, 201);
  const res = await post(`${vm}/console-token`, { command: ['run', '/program'] });
  assert.equal(res.status, 200);
  const { token, websocketPath } = await res.json();
  return `${d.url}${websocketPath}?session=${token}`;
}

test('a terminal: what it prints, what is typed, how it ends', async () => {
  await withVm(async (t) => {
    const url = await terminal(t, 'print hello\ncat');
    const s = await Socket.open(url);
    let seen = '';
    while (!seen.includes('hello')) seen += (await s.next()).data;
    s.send(TEXT, '{"type":"resize","cols":100,"rows":30}');
    s.send(TEXT, 'typed\n');
    s.send(BINARY, 'bytes\n');
    while (!seen.includes('bytes')) seen += (await s.next()).data;
    assert.match(seen, /typed/);
    assert.doesNotMatch(seen, /resize/);
    s.close();
    assert.equal((await s.rest()).code, 1000);
    await assert.rejects(Socket.open(url), { status: 401 }); // a token is good once
    const ended = await (await Socket.open(await terminal(t, 'print bye\nexit 3'))).rest();
    assert.match(ended.text, /bye/);
    assert.equal(ended.code, 1000);
    assert.equal(ended.reason, 'exit 3');
  });
});

test('a daemon that stops says so in its terminals', async () => {
  await withVm(async (t) => {
    const s = await Socket.open(await terminal(t, 'print hello\nhang'));
    const lost = await Socket.open(await terminal(t, 'print hello\nhang'));
    lost.destroy();
    assert.equal((await s.next()).opcode, BINARY);
    t.d.child.kill('SIGTERM');
    const { code } = await s.rest();
    assert.equal(code, 1001);
    const [status] = await t.d.exited;
    assert.equal(status, 0);
  });
});

// Peak memory, in KiB.
function peak(pid) {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

test('files go through without being held', async () => {
  await withVm(async ({ d, api, put, vm }) => {
    const content = randomBytes(48 << 20), before = peak(d.child.pid);
    const res = await put('/big', content);
    assert.equal(res.status, 201);
    assert.equal((await res.json()).size, content.length);
    const back = await api(`${vm}/files?path=/big`);
    assert.equal(Number(back.headers.get('content-length')), content.length);
    const sum = createHash('sha256');
    for await (const piece of back.body) sum.update(piece);
    assert.equal(sum.digest('hex'), createHash('sha256').update(content).digest('hex'));
    // A sanitizer keeps freed memory for a while.
    const sanitized = /-(asan|tsan)$/.test(process.env.HOLM_BUILD ?? '');
    assert.ok(sanitized || peak(d.child.pid) - before < 16 << 10, `${peak(d.child.pid) - before} KiB more`);
    const part = await api(`${vm}/files?path=/big`, { headers: { range: 'bytes=1000-1999' } });
    assert.equal(part.status, 206);
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), content.subarray(1000, 2000));
    const head = await api(`${vm}/files?path=/big`, { method: 'HEAD' });
    assert.equal(Number(head.headers.get('content-length')), content.length);
  });
});

// An upload that begins and is then let go; fetch could not.
function beginUpload(d, key, path) {
  const req = request(d.url + path, { method: 'PUT', headers: { 'x-api-key': key, 'content-length': 1 << 20 } });
  req.on('error', () => {});
  req.write(Buffer.alloc(1 << 16));
  return req;
}

test('half a file is none', async () => {
  await withVm(async ({ d, key, api, vm }) => {
    const req = beginUpload(d, key, `${vm}/files?path=/half`);
    await new Promise((done) => req.once('drain', done).once('socket', (s) => s.once('connect', done)));
    req.destroy();
    await d.logged(/PUT \/v1\/vms\/\{id\}\/files status=0 /);
    assert.equal((await api(`${vm}/files?path=/half&stat=1`)).status, 404);
  });
});

test('output comes as it is made, and a client that leaves ends its command', async () => {
  await withVm(async ({ d, api, put, vm }) => {
    await put('/program', 'print one\nhang');
    const gone = new AbortController();
    const res = await api(`${vm}/exec`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify({ command: ['run', '/program'] }),
      signal: gone.signal,
    });
    assert.equal(res.headers.get('content-type'), 'application/x-ndjson');
    const { value } = await res.body.getReader().read();
    const event = JSON.parse(Buffer.from(value).toString());
    assert.equal(Buffer.from(event.d, 'base64').toString(), 'one\n');
    gone.abort();
    await d.logged(/POST \/v1\/vms\/\{id\}\/exec status=0 /);
    // The command ends when its thread sees that nobody reads; every question waits for its answer.
    for (let stats; stats?.commands !== 0; stats = await (await api(`${vm}/stats`)).json());
  });
});
