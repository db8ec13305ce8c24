// SPDX-License-Identifier: Apache-2.0
// What the daemon makes of listeners, sessions, rate limits and the dashboard's files: the parts are tested beside
// the code (src/api), here that holmd joins them.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Daemon, dropData, makeData, rdsListener, withDaemon } from './daemon.mjs';

const adminKey = (d) => readFileSync(join(d.dir, 'admin.key'), 'utf8').trim();

// The cookie of a new session.
async function signIn(d, base = `${d.url}/rds`) {
  const res = await fetch(`${base}/auth/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ apiKey: adminKey(d) }),
  });
  assert.equal(res.status, 200);
  return res.headers.get('set-cookie').split(';')[0];
}

async function status(url, options) {
  const res = await fetch(url, options);
  await res.arrayBuffer();
  return res.status;
}

test('a session counts for every API, on every listener', async () => {
  await withDaemon(rdsListener, async (d) => {
    await d.settled();
    const rds = await d.rdsUrl(), cookie = await signIn(d), other = await signIn(d, rds);
    for (const c of [cookie, other])
      for (const path of ['/native/v1/vms', '/rds/v1/vms', '/native/v1/accounts'])
        for (const base of [d.url, rds]) assert.equal(await status(base + path, { headers: { cookie: c } }), 200, base + path);
    const launch = { method: 'POST', headers: { cookie, 'content-type': 'application/json' }, body: '{"image":"bash"}' };
    const res = await fetch(`${d.url}/native/v1/vms`, launch);
    assert.equal(res.status, 201);
    const { id } = await res.json();
    const drop = (headers) => status(`${d.url}/v1/vms/${id}`, { method: 'DELETE', headers: { cookie, ...headers } });
    assert.equal(await drop({ origin: 'http://evil.example' }), 403);
    assert.equal(await drop({ 'sec-fetch-site': 'same-site' }), 403);
    assert.equal(await drop({ origin: d.url, 'x-api-key': 'wrong' }), 401);
    assert.equal(await drop({ origin: d.url }), 200);
    assert.equal(await status(`${rds}/auth/logout`, { method: 'POST', headers: { cookie } }), 200);
    assert.equal(await status(`${d.url}/native/v1/vms`, { headers: { cookie } }), 401);
    assert.equal(await status(`${d.url}/native/v1/vms`, { headers: { cookie: other } }), 200);
  });
});

test('on its own listener the rds dialect answers in its own words', async () => {
  await withDaemon(rdsListener, async (d) => {
    const rds = await d.rdsUrl(), headers = { 'x-api-key': adminKey(d) };
    for (const path of ['/v1/vms', '/v1/images', '/auth/me', '/v1/nothing', '/auth/nothing', '/nothing', '/vms/x/y', '/v2']) {
      const res = await fetch(rds + path);
      if (res.status === 401) assert.deepEqual(await res.json(), { message: 'Unauthorized' });
      else assert.deepEqual([res.status, Object.keys(await res.json())], [404, ['message']]);
    }
    assert.deepEqual(await (await fetch(`${rds}/v1/vms`, { headers })).json(), []);
    const missing = await fetch(`${rds}/v1/machine-types`, { headers });
    assert.equal(missing.status, 404);
    assert.match((await missing.json()).message, /nothing at \/v1\/machine-types/);
    assert.equal(await status(`${rds}/native/v1/machine-types`, { headers }), 200);
    assert.equal(await status(`${rds}/api/v1/languages`), 200);
    assert.deepEqual(Object.keys(await (await fetch(`${rds}/api/v1/nothing`)).json()).sort(), ['error', 'status']);
  });
});

test('requests a minute', async () => {
  const limited = { set: { ...rdsListener.set, 'rds.rate_limits': 'yes' } };
  const create = (base, key) => fetch(`${base}/v1/vms`, {
    method: 'POST', headers: { 'x-api-key': key, 'content-type': 'application/json' }, body: '{}',
  });
  await withDaemon(limited, async (d) => {
    const key = adminKey(d), rds = await d.rdsUrl();
    let refused, n = 0;
    for (; refused?.status !== 429; n++) refused = await create(n % 2 ? rds : `${d.url}/rds`, key);
    assert.ok(n > 30, String(n));
    assert.match(refused.headers.get('retry-after'), /^[12]$/);
    const text = await refused.text();
    assert.match(JSON.parse(text).message, /^too many requests: this path answers 30 of them a minute/);
    await d.checkAnswer('POST', '/rds/v1/vms', refused, text);
    // The native API has no such bound, and other accounts their own.
    for (let i = 0; i < 130; i++) assert.equal(await status(`${d.url}/v1/machine-types`, { headers: { 'x-api-key': key } }), 200);
    n = 0;
    while (await status(`${rds}/v1/vms`, { headers: { 'x-api-key': key } }) === 200) n++;
    assert.ok(n > 60, String(n));
  });
  await withDaemon(rdsListener, async (d) => {
    for (let i = 0; i < 40; i++) assert.equal((await create(`${d.url}/rds`, adminKey(d))).status, 400);
  });
});

// A bucket that is full at first and refills evenly: so many at once, and what came meanwhile.
test('requests a minute, to each path and in all', async () => {
  const vm = '/v1/vms/vm-00000000-0000-8000-8000-000000000000';
  const rows = [
    ['POST', '/v1/vms', 30, 'path'], ['POST', `${vm}/exec`, 60, 'path'], ['POST', `${vm}/run-ts`, 60, 'path'],
    ['POST', `${vm}/files/upload`, 30, 'path'], ['GET', `${vm}/files/download`, 60, 'path'],
    ['GET', '/v1/vms', 120, 'API'], ['POST', `${vm}/stop`, 120, 'API'], ['GET', '/v1/images', 120, 'API'],
  ];
  await withDaemon({ set: { ...rdsListener.set, 'rds.rate_limits': 'yes' } }, async (d) => {
    const make = async (path, body) => (await d.post(path, body, { 'x-api-key': adminKey(d) })).json();
    for (const [i, [method, path, limit, what]] of rows.entries()) {
      const { id: accountId } = await make('/v1/accounts', { name: `of ${i}` });
      const { key } = await make('/v1/keys', { accountId });
      const ask = () => fetch(`${d.url}/rds${path}`, { method, headers: { 'x-api-key': key } });
      const begun = performance.now();
      let n = 0, answer;
      for (; (answer = await ask()).status !== 429; n++) await answer.arrayBuffer();
      const more = Math.floor((performance.now() - begun + 1) * limit / 60000);
      assert.ok(n >= limit && n <= limit + more, `${method} ${path}: ${n}, not ${limit} and ${more}`);
      assert.match((await answer.json()).message, new RegExp(`^too many requests: this ${what} answers ${limit} of them a minute`));
      assert.ok(Number(answer.headers.get('retry-after')) >= 1);
    }
  });
});

test('the files of the dashboard', async () => {
  const web = mkdtempSync(join(tmpdir(), 'holm-web-'));
  try {
    mkdirSync(join(web, 'assets'));
    writeFileSync(join(web, 'index.html'), '<!doctype html><p>dashboard');
    writeFileSync(join(web, 'assets/app-1.js'), 'script()');
    writeFileSync(join(web, 'assets/app-1.js.gz'), gzipSync('script()'));
    await withDaemon({ set: { ...rdsListener.set, 'paths.web_dir': web, 'server.require_key': 'yes' } }, async (d) => {
      assert.match(d.log, /dashboard dir=\S+ files=2/);
      for (const base of [d.url, await d.rdsUrl()]) {
        const page = await fetch(`${base}/vms/1`, { headers: { accept: 'text/html' } });
        assert.equal(await page.text(), '<!doctype html><p>dashboard');
        assert.match(page.headers.get('content-security-policy'), /^default-src 'self';/);
        const script = await fetch(`${base}/assets/app-1.js`);
        assert.equal(script.headers.get('content-encoding'), 'gzip');
        assert.equal(await script.text(), 'script()');
        assert.match(await (await fetch(`${base}/`)).text(), /^Holm /);
      }
    });
  } finally {
    rmSync(web, { recursive: true, force: true });
  }
});

test('without its files there is one line of it, and everything else', async () => {
  await withDaemon({ set: { 'paths.web_dir': '/nonexistent' } }, async (d) => {
    assert.equal(d.log.match(/there is no dashboard/g).length, 1);
    assert.match(await (await d.fetch('/', { headers: { accept: 'text/html' } })).text(), /^Holm /);
  });
});

test('listeners that cannot be are refused', async () => {
  const dir = makeData();
  try {
    for (const listen of ['', 'nowhere', '127.0.0.1:0 300.1.1.1:0']) {
      const d = new Daemon(dir, { set: { ...rdsListener.set, 'rds.listen': listen } });
      const [code] = await d.exited;
      assert.equal(code, 1, d.log);
      assert.match(d.log, /rds\.listen needs 1 to 16 addresses|is no address/);
    }
  } finally {
    dropData(dir);
  }
});
