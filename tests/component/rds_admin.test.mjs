// SPDX-License-Identifier: Apache-2.0
// Who may ask, and what an administrator sees, through the whole daemon on the fake engine: sessions and keys,
// the feed of what happened, webhooks, the overview.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { Daemon, dropData, makeData, withDaemon } from './daemon.mjs';

const EMAIL = 'admin@example.org', PASSWORD = 'correct horse battery staple';
const withPassword = { env: { ADMIN_EMAIL: EMAIL, ADMIN_PASSWORD: PASSWORD } };
const unlimited = { set: { 'rds.rate_limits': 'no' } }; // tests that ask until something is so
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const adminKey = (d) => readFileSync(join(d.dir, 'admin.key'), 'utf8').trim();

// One call below /rds; resolves with its answer once its status was as expected. `as`: a key, or a cookie.
async function call(d, as, method, path, { body, status = 200, headers = {} } = {}) {
  const who = !as ? {} : as.startsWith('rds_session=') ? { cookie: as } : { 'x-api-key': as };
  const res = await d.fetch('/rds' + path, {
    method,
    headers: { ...who, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await res.text();
  assert.equal(res.status, status, `${method} ${path}: ${res.status} ${text}`);
  await d.checkAnswer(method, '/rds' + path, res, text);
  const json = text ? JSON.parse(text) : null;
  if (status >= 400) assert.equal(typeof json.message, 'string', text);
  return { json, headers: res.headers };
}

const get = async (d, as, path, options) => (await call(d, as, 'GET', path, options)).json;
const post = async (d, as, path, body, status = 200) => (await call(d, as, 'POST', path, { body, status })).json;

// The cookie of an answer, as a browser would send it, after a look at what it was told about it.
function cookieOf({ headers }, attributes = '; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800') {
  const [, cookie, rest] = /^(rds_session=[\w-]{43})(.*)$/.exec(headers.get('set-cookie'));
  assert.equal(rest, attributes);
  return cookie;
}

const signIn = async (d, body = { email: EMAIL, password: PASSWORD }) =>
  cookieOf(await call(d, null, 'POST', '/auth/login', { body }));

async function makeAccount(d, name) {
  const admin = adminKey(d), make = async (path, body) => {
    const res = await d.post(path, body, { 'x-api-key': admin });
    assert.equal(res.status, 201);
    return res.json();
  };
  const account = await make('/v1/accounts', { name });
  return { id: account.id, key: (await make('/v1/keys', { accountId: account.id })).key };
}

async function launch(d, key, body = {}) {
  const res = await d.post('/v1/vms', { image: 'bash', diskGiB: 1, ...body }, { 'x-api-key': key });
  assert.equal(res.status, 201);
  return res.json();
}

const native = async (d, key, method, path) =>
  assert.ok((await d.fetch(path, { method, headers: { 'x-api-key': key } })).ok, `${method} ${path}`);

/* --- signing in --- */

test('a password signs in, and the session ends', async () => {
  await withDaemon(withPassword, async (d) => {
    assert.deepEqual(await get(d, null, '/auth/methods'), { password: true });
    assert.deepEqual(await get(d, null, '/auth/me', { status: 401 }), { message: 'Unauthorized' });
    const answer = await call(d, null, 'POST', '/auth/login', { body: { email: EMAIL, password: PASSWORD } });
    assert.deepEqual(answer.json, { email: EMAIL });
    const cookie = cookieOf(answer);
    const me = await get(d, cookie, '/auth/me');
    assert.match(me.accountId, UUID);
    assert.deepEqual(me, { email: EMAIL, accountId: me.accountId, accountName: 'default', admin: true });
    await get(d, cookie, '/v1/admin/overview');
    const renewed = await call(d, cookie, 'GET', '/auth/me');
    assert.equal(cookieOf(renewed), cookie); // for a whole week again
    cookieOf(await call(d, cookie, 'GET', '/auth/me', { headers: { 'x-forwarded-proto': 'https' } }),
      '; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800; Secure');
    assert.equal((await call(d, adminKey(d), 'GET', '/auth/me')).headers.get('set-cookie'), null);
    const other = await signIn(d);
    const out = await call(d, cookie, 'POST', '/auth/logout');
    assert.deepEqual(out.json, { ok: true });
    assert.equal(out.headers.get('set-cookie'), 'rds_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0');
    await get(d, cookie, '/auth/me', { status: 401 });
    await get(d, other, '/auth/me');
    await call(d, cookie, 'POST', '/auth/logout');
    await call(d, null, 'POST', '/auth/logout');
    assert.doesNotMatch(d.log, new RegExp(`${PASSWORD}|${cookie.slice(12)}`));
    // Nor is it where another process of the host's could read it.
    assert.ok(!readFileSync(`/proc/${d.child.pid}/environ`, 'latin1').includes(PASSWORD));
  });
});

test('with a cookie, only pages of the daemon itself change anything', async () => {
  await withDaemon(withPassword, async (d) => {
    const cookie = await signIn(d), path = '/v1/admin/api-keys', body = { name: 'x' };
    for (const origin of ['https://evil.example', 'null', d.url.replace(/:\d+$/, ':1')])
      await call(d, cookie, 'POST', path, { body, headers: { origin }, status: 403 });
    await call(d, cookie, 'POST', path, { body, headers: { 'sec-fetch-site': 'cross-site' }, status: 403 });
    await call(d, cookie, 'POST', path, { body, headers: { origin: d.url }, status: 201 });
    await call(d, cookie, 'GET', path, { headers: { 'sec-fetch-site': 'cross-site' } });
    await call(d, null, 'POST', '/auth/login',
      { body: { email: EMAIL, password: PASSWORD }, headers: { origin: 'https://evil.example' }, status: 403 });
  });
});

test('nor do they end a session, whether the listener needs a key or not', async () => {
  for (const need of ['no', 'yes'])
    await withDaemon({ ...withPassword, set: { 'server.require_key': need } }, async (d) => {
      const cookie = await signIn(d);
      for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'same-site' }])
        await call(d, cookie, 'POST', '/auth/logout', { headers, status: 403 });
      await get(d, cookie, '/auth/me');
      await call(d, cookie, 'POST', '/auth/logout', { headers: { origin: d.url } });
      await get(d, cookie, '/auth/me', { status: 401 });
    });
});

test('behind a proxy with TLS the cookie is for TLS only', async () => {
  await withDaemon(withPassword, async (d) => {
    const answer = await call(d, null, 'POST', '/auth/login',
      { body: { email: EMAIL, password: PASSWORD }, headers: { 'x-forwarded-proto': 'https' } });
    cookieOf(answer, '; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800; Secure');
  });
});

test('wrong credentials, and bodies that are none', async () => {
  await withDaemon(withPassword, async (d) => {
    for (const body of [{ email: EMAIL, password: 'x' }, { email: 'x', password: PASSWORD }, { apiKey: 'holm_x' }])
      assert.deepEqual(await post(d, null, '/auth/login', body, 401), { message: 'Invalid credentials' });
    for (const [body, field] of [
      [{}, 'email'], [{ email: EMAIL }, 'password'], [{ password: PASSWORD }, 'email'], [{ email: 1 }, 'email'],
      [{ email: EMAIL, password: ['x'] }, 'password'], [{ apiKey: {} }, 'apiKey'],
    ])
      assert.equal((await post(d, null, '/auth/login', body, 400)).field, field, JSON.stringify(body));
    await post(d, null, '/auth/login', '{', 400);
    await post(d, null, '/auth/login', '[]', 400);
    await post(d, null, '/auth/login', { email: EMAIL, password: 'x'.repeat(2000) }, 413);
    // Unknown members are not looked at.
    await signIn(d, { email: EMAIL, password: PASSWORD, remember: true });
  });
});

test('too many wrong ones are told to wait', async () => {
  await withDaemon(withPassword, async (d) => {
    for (let i = 0; i < 10; i++) await post(d, null, '/auth/login', { apiKey: `wrong${i}` }, 401);
    const { headers } = await call(d, null, 'POST', '/auth/login',
      { body: { email: EMAIL, password: PASSWORD }, status: 429 });
    assert.ok(+headers.get('retry-after') > 0);
  });
});

test('without a password only keys sign in', async () => {
  await withDaemon({}, async (d) => {
    assert.deepEqual(await get(d, null, '/auth/methods'), { password: false });
    await post(d, null, '/auth/login', { email: '', password: '' }, 401);
    const ann = await makeAccount(d, 'ann');
    const answer = await call(d, null, 'POST', '/auth/login', { body: { apiKey: ann.key } });
    assert.deepEqual(answer.json, { email: '' });
    const me = await get(d, cookieOf(answer), '/auth/me');
    assert.deepEqual(me, { email: '', accountId: ann.id, accountName: 'ann', admin: false });
    assert.equal((await get(d, adminKey(d), '/auth/me')).admin, true);
  });
});

test('sessions outlive the daemon, but not their password', async () => {
  const dir = makeData();
  const start = (env, body) => withDaemon({ dir, env }, body);
  try {
    let cookie;
    await start(withPassword.env, async (d) => {
      cookie = await signIn(d);
      await d.kill('SIGKILL');
    });
    await start(withPassword.env, async (d) => {
      await get(d, cookie, '/auth/me');
      for (const file of ['holm.db', 'holm.db-wal'])
        assert.ok(!readFileSync(join(dir, file)).includes(PASSWORD));
    });
    await start({ ...withPassword.env, ADMIN_PASSWORD: 'another' }, async (d) => {
      await get(d, cookie, '/auth/me', { status: 401 });
      await post(d, null, '/auth/login', { email: EMAIL, password: PASSWORD }, 401);
      await signIn(d, { email: EMAIL, password: 'another' });
    });
    const d = new Daemon(dir, { env: { ADMIN_EMAIL: 'other@example.org' } });
    await d.logged(/admin\.email .* is set, but not admin\.password/);
    await d.exited;
  } finally {
    dropData(dir);
  }
});

test('the key of the environment', async () => {
  await withDaemon({ env: { API_KEY: 'my own old key' } }, async (d) => {
    assert.equal((await get(d, 'my own old key', '/auth/me')).admin, true);
    await get(d, 'my own old kez', '/auth/me', { status: 401 });
    assert.equal((await get(d, adminKey(d), '/v1/admin/api-keys')).length, 1);
    const cookie = await signIn(d, { apiKey: 'my own old key' });
    await get(d, cookie, '/v1/admin/overview');
  });
});

/* --- keys --- */

test('keys: made, used, revoked, expired', async () => {
  await withDaemon(unlimited, async (d) => {
    const admin = adminKey(d);
    const made = await post(d, admin, '/v1/admin/api-keys', { name: 'ci' }, 201);
    assert.match(made.apiKey, /^rds_[0-9a-f]{12}_[\w-]{43}$/);
    assert.match(made.id, UUID);
    assert.match(made.createdAt, TIME);
    assert.equal(made.prefix, made.apiKey.slice(0, 12));
    const { apiKey, ...shown } = made;
    assert.deepEqual(shown, {
      id: made.id, name: 'ci', prefix: made.prefix, createdAt: made.createdAt, expiresAt: null, lastUsedAt: null,
      revokedAt: null,
    });
    const cookie = await signIn(d, { apiKey });
    await get(d, apiKey, '/v1/admin/overview');
    const listed = (await get(d, apiKey, '/v1/admin/api-keys')).find((k) => k.id === made.id);
    assert.deepEqual(listed, { ...shown, lastUsedAt: listed.lastUsedAt });
    assert.match(listed.lastUsedAt, TIME);

    await post(d, admin, `/v1/admin/api-keys/${made.id}/revoke`, undefined, 204);
    await post(d, admin, `/v1/admin/api-keys/${made.id}/revoke`, undefined, 204);
    await get(d, apiKey, '/auth/me', { status: 401 });
    await get(d, cookie, '/auth/me', { status: 401 });
    assert.match((await get(d, admin, '/v1/admin/api-keys')).find((k) => k.id === made.id).revokedAt, TIME);
    const nativeKeys = await (await d.fetch('/v1/keys', { headers: { 'x-api-key': admin } })).json();
    assert.ok(!nativeKeys.some((k) => k.id === made.id));

    const expiresAt = new Date(Date.now() + 1500).toISOString();
    const brief = await post(d, admin, '/v1/admin/api-keys', { name: 'brief', expiresAt }, 201);
    assert.equal(brief.expiresAt, expiresAt);
    await get(d, brief.apiKey, '/auth/me');
    while ((await d.fetch('/rds/auth/me', { headers: { 'x-api-key': brief.apiKey } })).status !== 401)
      await new Promise((r) => setTimeout(r, 50)); // nobody is told that a key has expired
    assert.ok(Date.now() >= Date.parse(expiresAt));
  });
});

test('keys: what is refused', async () => {
  await withDaemon({}, async (d) => {
    const admin = adminKey(d), ann = await makeAccount(d, 'ann');
    for (const [body, field] of [
      [{}, 'name'], [{ name: '' }, 'name'], [{ name: 'a\nb' }, 'name'], [{ name: 1 }, 'name'],
      [{ name: 'x', expiresAt: 'tomorrow' }, 'expiresAt'], [{ name: 'x', expiresAt: '2024-02-30' }, 'expiresAt'],
      [{ name: 'x', expiresAt: '2001-01-01T00:00:00Z' }, 'expiresAt'], [{ name: 'x', expiresAt: 5 }, 'expiresAt'],
    ])
      assert.equal((await post(d, admin, '/v1/admin/api-keys', body, 400)).field, field, JSON.stringify(body));
    await post(d, admin, '/v1/admin/api-keys', { name: 'x', expiresAt: null }, 201);
    const path = (id) => `/v1/admin/api-keys/${id}/revoke`;
    assert.equal((await post(d, admin, path('x'), undefined, 400)).message, 'Invalid API key id');
    const unknown = '01234567-89ab-8def-8123-456789abc000';
    assert.equal((await post(d, admin, path(unknown), undefined, 404)).message, 'API key not found');
    // Every account has keys of its own, and nobody else's.
    const [annKey] = await get(d, ann.key, '/v1/admin/api-keys');
    await post(d, admin, path(annKey.id), undefined, 404);
    const more = await post(d, ann.key, '/v1/admin/api-keys', { name: 'more' }, 201);
    await post(d, more.apiKey, path(annKey.id), undefined, 204);
    await get(d, ann.key, '/auth/me', { status: 401 });
    for (const m of ['GET', 'POST']) await call(d, null, m, '/v1/admin/api-keys', { status: 401 });
  });
});

/* --- for administrators only --- */

const adminPaths = [
  ['GET', '/v1/admin/overview'], ['GET', '/v1/admin/activity'], ['GET', '/v1/admin/events'],
  ['GET', '/v1/admin/webhooks'], ['POST', '/v1/admin/webhooks'], ['GET', '/v1/admin/webhooks/event-types'],
  ['GET', '/v1/admin/webhooks/x'], ['PATCH', '/v1/admin/webhooks/x'], ['DELETE', '/v1/admin/webhooks/x'],
];

test('what is not for everybody', async () => {
  await withDaemon({}, async (d) => {
    const { key } = await makeAccount(d, 'ann');
    for (const [method, path] of adminPaths) {
      await call(d, null, method, path, { status: 401 });
      await call(d, 'holm_nonsense', method, path, { status: 401 });
      await call(d, key, method, path, { status: 403 });
    }
  });
});

test('the overview', async () => {
  await withDaemon({}, async (d) => {
    await d.settled();
    const key = adminKey(d), ann = await makeAccount(d, 'ann');
    const vm = await launch(d, key), annVm = await launch(d, ann.key);
    await native(d, ann.key, 'POST', `/v1/vms/${annVm.id}/stop`);
    const res = await d.post('/v1/snapshots', { vmId: vm.id }, { 'x-api-key': key });
    assert.equal(res.status, 201);
    const o = await get(d, key, '/v1/admin/overview');
    assert.deepEqual({ ...o.counts, templates: 0 }, { activeVms: 1, vms: 2, snapshots: 1, templates: 0, images: 6 });
    assert.ok(o.counts.templates >= 6);
    assert.ok(o.cpu.capacityCores >= 1 && o.cpu.usedCores <= o.cpu.capacityCores && o.cpu.usagePct <= 100);
    assert.ok(o.memory.usedBytes > 0 && o.memory.usedBytes < o.memory.capacityBytes);
    assert.ok(o.memory.promisedBytes >= 256 * 2 ** 20);
    assert.ok(o.storage.usedBytes > 0 && o.storage.usedBytes <= o.storage.capacityBytes);
    assert.ok(Number.isInteger(o.storage.holmBytes));
    assert.match(o.startedAt, TIME);
    assert.match(o.version, /^\d+\.\d+/);
  });
});

/* --- activity --- */

// Server-Sent Events as they come; `next()` is one event, comments are left out.
async function follow(d, as, path = '/v1/admin/events', headers = {}) {
  const abort = new AbortController();
  const res = await d.fetch('/rds' + path, { headers: { ...(as && { 'x-api-key': as }), ...headers }, signal: abort.signal });
  assert.equal(res.status, 200);
  assert.equal(res.headers.get('content-type'), 'text/event-stream');
  const reader = res.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const next = async () => {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        const data = /^data: (.*)$/m.exec(block);
        if (!data) continue;
        assert.match(block, /^event: activity$/m);
        const event = JSON.parse(data[1]);
        assert.equal(+/^id: (\d+)$/m.exec(block)[1], event.id);
        return event;
      }
      const { value, done } = await reader.read();
      if (done) return null;
      text += value;
    }
  };
  return { next, stop: () => abort.abort() };
}

test('a feed in which nothing happens is kept alive', async () => {
  await withDaemon({}, async (d) => {
    const signal = AbortSignal.timeout(60_000);
    const res = await d.fetch('/rds/v1/admin/events', { headers: { 'x-api-key': adminKey(d) }, signal });
    let text = '';
    for await (const piece of res.body.pipeThrough(new TextDecoderStream())) {
      text += piece;
      if (/^: ping\n\n/m.test(text)) return;
    }
    assert.fail(`it ended: ${text}`);
  });
});

test('who may not look on any more is told nothing', async () => {
  await withDaemon(withPassword, async (d) => {
    await d.settled();
    const key = adminKey(d);
    const { id, apiKey } = await post(d, key, '/v1/admin/api-keys', { name: 'n' }, 201);
    const cookie = cookieOf(await call(d, null, 'POST', '/auth/login', { body: { email: EMAIL, password: PASSWORD } }));
    const byKey = await follow(d, apiKey), bySession = await follow(d, null, undefined, { cookie });
    await call(d, key, 'POST', `/v1/admin/api-keys/${id}/revoke`, { status: 204 });
    assert.equal(await byKey.next(), null);
    assert.equal((await bySession.next()).type, 'key.revoked');
    await call(d, cookie, 'POST', '/auth/logout');
    assert.equal(await bySession.next(), null);
  });
});

test('what happens is told once, in order, in the list and to those who follow', async () => {
  await withDaemon({}, async (d) => {
    await d.settled();
    const key = adminKey(d);
    const feed = await follow(d, key), second = await follow(d, key);
    const vm = await launch(d, key, { name: 'one' });
    for (const move of ['pause', 'resume', 'suspend', 'resume', 'stop', 'start'])
      await native(d, key, 'POST', `/v1/vms/${vm.id}/${move}`);
    await d.fetch(`/v1/vms/${vm.id}`, {
      method: 'PATCH', headers: { 'x-api-key': key, 'content-type': 'application/json' }, body: '{"name":"two"}',
    });
    const snapshot = await (await d.post('/v1/snapshots', { vmId: vm.id, name: 'snap' }, { 'x-api-key': key })).json();
    const { forks } = await (await d.post(`/v1/vms/${vm.id}/fork`, { count: 2 }, { 'x-api-key': key })).json();
    await native(d, key, 'DELETE', `/v1/snapshots/${snapshot.id}`);
    await native(d, key, 'DELETE', `/v1/vms/${vm.id}`);
    const want = [
      'vm.created', 'vm.paused', 'vm.resumed', 'vm.suspended', 'vm.resumed', 'vm.stopped', 'vm.started', 'vm.updated',
      'snapshot.created', 'vm.created', 'vm.created', 'vm.forked', 'snapshot.deleted', 'vm.deleted',
    ];
    const events = (await get(d, key, '/v1/admin/activity')).reverse();
    assert.deepEqual(events.map((e) => e.type), want);
    for (const f of [feed, second]) {
      for (const e of events) assert.deepEqual(await f.next(), e);
      f.stop();
    }
    const [created] = events;
    assert.deepEqual(created, {
      id: created.id, type: 'vm.created', createdAt: created.createdAt, entityType: 'vm', entityId: `vm-${vm.id}`,
      name: 'one', message: 'VM one was created', meta: { image: 'bash' }, accountId: vm.orgId,
    });
    assert.match(created.createdAt, TIME);
    assert.deepEqual(events.find((e) => e.type === 'vm.updated').meta, { changed: ['name'] });
    const forked = events.find((e) => e.type === 'vm.forked');
    assert.equal(forked.name, 'two');
    assert.equal(forked.meta.children.length, 2);
    if (forks) assert.deepEqual(forked.meta.children, forks.map((f) => `vm-${f.id ?? f.vm?.id}`));
    assert.equal(events.find((e) => e.type === 'snapshot.created').entityId, `snap-${snapshot.id}`);
    assert.equal(events.find((e) => e.type === 'snapshot.created').meta.vm, `vm-${vm.id}`);
  });
});

test('the list has pages, and a follower goes on where it was', async () => {
  const dir = makeData();
  try {
    let key, all;
    await withDaemon({ dir }, async (d) => {
      key = adminKey(d);
      for (let i = 0; i < 7; i++) await post(d, key, '/v1/admin/api-keys', { name: `k${i}` }, 201);
      all = await get(d, key, '/v1/admin/activity?limit=500');
      assert.deepEqual(all.map((e) => e.name), ['k6', 'k5', 'k4', 'k3', 'k2', 'k1', 'k0']);
      const page = await get(d, key, '/v1/admin/activity?limit=3');
      assert.deepEqual(page, all.slice(0, 3));
      assert.deepEqual(await get(d, key, `/v1/admin/activity?limit=3&before=${page[2].id}`), all.slice(3, 6));
      for (const q of ['limit=0', 'limit=501', 'limit=x', 'before=0', 'before=-1'])
        assert.equal((await get(d, key, `/v1/admin/activity?${q}`, { status: 400 })).field, q.split('=')[0]);
      await get(d, key, '/v1/admin/events?after=x', { status: 400 });
      await d.kill('SIGKILL');
    });
    // The next daemon knows all of it.
    await withDaemon({ dir }, async (d) => {
      const third = all.at(-3);
      for (const [path, headers] of [
        [`/v1/admin/events?after=${third.id}`, {}],
        ['/v1/admin/events', { 'last-event-id': String(third.id) }],
        ['/v1/admin/events?after=0', { 'last-event-id': String(third.id) }],
      ]) {
        const feed = await follow(d, key, path, headers);
        for (const e of all.slice(0, -3).reverse()) assert.deepEqual(await feed.next(), e);
        feed.stop();
      }
      // One that is beyond all is one of another time.
      const feed = await follow(d, key, '/v1/admin/events?after=999999');
      await post(d, key, '/v1/admin/api-keys', { name: 'more' }, 201);
      assert.equal((await feed.next()).name, 'more');
      const end = feed.next();
      await d.stop();
      assert.equal(await end, null); // a whole answer, not a cut connection
    });
  } finally {
    dropData(dir);
  }
});

test('sign-ins, accounts and keys are told too', async () => {
  await withDaemon(withPassword, async (d) => {
    const key = adminKey(d), ann = await makeAccount(d, 'ann');
    const cookie = await signIn(d);
    await post(d, null, '/auth/login', { email: EMAIL, password: 'x' }, 401);
    await call(d, cookie, 'POST', '/auth/logout');
    await signIn(d, { apiKey: ann.key });
    await native(d, key, 'DELETE', `/v1/accounts/${ann.id}`);
    const events = (await get(d, key, '/v1/admin/activity')).reverse();
    assert.deepEqual(events.map((e) => [e.type, e.name]), [
      ['account.created', 'ann'], ['session.login', EMAIL], ['session.failed', 'Somebody'], ['session.logout', EMAIL],
      ['account.deleted', 'ann'], // what ann did has gone with her
    ]);
    assert.deepEqual(events[1].meta, { peer: '127.0.0.1' });
    assert.equal(events[1].message, `${EMAIL} signed in`);
    assert.equal(events[1].entityId, null);
    assert.equal(events[0].entityId, ann.id);
  });
});

/* --- webhooks --- */

// What is told to a webhook; `answer(n)` says how the n-th request (from 0) is answered.
async function listen(answer = () => 204, port = 0) {
  const got = [], waiters = [];
  const server = createServer(async (req, res) => {
    let body = '';
    for await (const piece of req) body += piece;
    const status = answer(got.length);
    got.push({ headers: req.headers, body, json: JSON.parse(body), method: req.method, path: req.url });
    for (const w of waiters.splice(0)) w();
    if (typeof status === 'function') return status(res);
    res.writeHead(status, status === 302 ? { location: '/elsewhere' } : {});
    res.end();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const until = async (n) => {
    while (got.length < n) await new Promise((r) => waiters.push(r));
    return got;
  };
  const close = () => (server.closeAllConnections(), new Promise((r) => server.close(r)));
  return { url: `http://127.0.0.1:${server.address().port}/hook?a=b`, port: server.address().port, got, until, close };
}

const makeHook = (d, body, status = 201) => post(d, adminKey(d), '/v1/admin/webhooks', body, status);

test('webhooks: made, shown, changed, removed', async () => {
  await withDaemon({}, async (d) => {
    const key = adminKey(d), url = 'https://example.org/hook';
    const made = await makeHook(d, { name: 'ops', url, enabled: false, eventTypes: ['vm.created', 'vm.lost'] });
    const { secret, ...shown } = made;
    assert.match(secret, /^whs_[\w-]{43}$/);
    assert.match(made.id, UUID);
    assert.deepEqual(shown, {
      id: made.id, name: 'ops', url, enabled: false, eventTypes: ['vm.created', 'vm.lost'], createdAt: made.createdAt,
      updatedAt: made.updatedAt, lastStatus: null, lastError: null, lastTriedAt: null,
    });
    const path = `/v1/admin/webhooks/${made.id}`;
    assert.deepEqual(await get(d, key, path), shown);
    assert.deepEqual(await get(d, key, '/v1/admin/webhooks'), [shown]);
    const changed = (await call(d, key, 'PATCH', path, { body: { name: 'x', eventTypes: [] } })).json;
    assert.deepEqual(changed, { ...shown, name: 'x', eventTypes: [], updatedAt: changed.updatedAt });
    const same = (await call(d, key, 'PATCH', path, { body: {} })).json;
    assert.deepEqual(same, { ...changed, updatedAt: same.updatedAt });
    assert.equal((await call(d, key, 'PATCH', path, { body: { url: 'http://[::1]:9/x' } })).json.url, 'http://[::1]:9/x');
    await call(d, key, 'DELETE', path, { status: 204 });
    await call(d, key, 'DELETE', path, { status: 404 });
    assert.equal((await get(d, key, path, { status: 404 })).message, 'Webhook not found');
    await call(d, key, 'PATCH', path, { body: {}, status: 404 });
    const types = await get(d, key, '/v1/admin/webhooks/event-types');
    assert.ok(types.includes('vm.created') && types.includes('image.uploaded') && !types.includes('webhook.failed'));
    await makeHook(d, { name: 'all', url, enabled: false, eventTypes: types });
  });
});

test('webhooks: what is refused', async () => {
  await withDaemon(unlimited, async (d) => {
    const key = adminKey(d), url = 'http://example.org/';
    for (const [body, field] of [
      [{}, 'name'], [{ name: 'x' }, 'url'], [{ name: '', url }, 'name'], [{ name: 'a\u0001', url }, 'name'],
      [{ name: 'x', url: 'example.org' }, 'url'], [{ name: 'x', url: 'ftp://example.org/' }, 'url'],
      [{ name: 'x', url: 'file:///etc/passwd' }, 'url'], [{ name: 'x', url: 'http://' }, 'url'],
      [{ name: 'x', url: 'http://a:b@example.org/' }, 'url'], [{ name: 'x', url: 'http://a b/' }, 'url'],
      [{ name: 'x', url, eventTypes: ['vm.exploded'] }, 'eventTypes'],
      [{ name: 'x', url, eventTypes: ['webhook.failed'] }, 'eventTypes'],
      [{ name: 'x', url, eventTypes: ['vm.created vm.lost'] }, 'eventTypes'],
      [{ name: 'x', url, eventTypes: [''] }, 'eventTypes'], [{ name: 'x', url, eventTypes: 'vm.created' }, 'eventTypes'],
      [{ name: 'x', url, enabled: 'yes' }, 'enabled'],
    ])
      assert.equal((await makeHook(d, body, 400)).field, field, JSON.stringify(body));
    await makeHook(d, { name: 'x', url: 'http://example.org/' + 'x'.repeat(3000) }, 413);
    for (const m of ['GET', 'DELETE'])
      assert.equal((await call(d, key, m, '/v1/admin/webhooks/x', { status: 400 })).json.message, 'Invalid webhook id');
    await call(d, key, 'PATCH', '/v1/admin/webhooks/x', { body: {}, status: 400 });
    for (let i = 0; i < 16; i++) await makeHook(d, { name: 'x', url, enabled: false });
    assert.match((await makeHook(d, { name: 'x', url }, 403)).message, /16 webhooks already/);
  });
});

test('webhooks: events are delivered, signed, in order', async () => {
  const hook = await listen();
  await withDaemon({}, async (d) => {
    const key = adminKey(d);
    await post(d, key, '/v1/admin/api-keys', { name: 'before' }, 201);
    const made = await makeHook(d, { name: 'ops', url: hook.url });
    for (let i = 0; i < 20; i++) await post(d, key, '/v1/admin/api-keys', { name: `k${i}` }, 201);
    const got = await hook.until(21);
    const events = (await get(d, key, '/v1/admin/activity')).reverse().slice(1);
    for (const [i, g] of got.entries()) {
      assert.deepEqual(g.json, { ...events[i], webhookId: made.id });
      assert.equal(g.method, 'POST');
      assert.equal(g.path, '/hook?a=b');
      assert.equal(g.headers['content-type'], 'application/json');
      assert.equal(g.headers['x-holm-event'], events[i].type);
      assert.equal(g.headers['x-holm-delivery'], String(events[i].id));
      const mac = createHmac('sha256', made.secret).update(g.body).digest('hex');
      assert.equal(g.headers['x-holm-signature'], `sha256=${mac}`);
    }
    assert.equal(got[0].json.type, 'webhook.created');
    // Only what it asks for, and nothing while it is off.
    await call(d, key, 'PATCH', `/v1/admin/webhooks/${made.id}`, { body: { enabled: false } });
    await post(d, key, '/v1/admin/api-keys', { name: 'untold' }, 201);
    await call(d, key, 'PATCH', `/v1/admin/webhooks/${made.id}`, { body: { enabled: true, eventTypes: ['key.revoked'] } });
    const { id } = await post(d, key, '/v1/admin/api-keys', { name: 'last' }, 201);
    await post(d, key, `/v1/admin/api-keys/${id}/revoke`, undefined, 204);
    await hook.until(22);
    assert.deepEqual([hook.got[21].json.type, hook.got[21].json.name], ['key.revoked', 'last']);
  });
  await hook.close();
});

test('webhooks: what fails is tried again, and what is no success is told', async () => {
  const hook = await listen((n) => [500, 302, 204][n] ?? 204);
  await withDaemon(unlimited, async (d) => {
    const key = adminKey(d);
    const { id } = await makeHook(d, { name: 'ops', url: hook.url, eventTypes: ['key.created'] });
    await post(d, key, '/v1/admin/api-keys', { name: 'one' }, 201);
    await post(d, key, '/v1/admin/api-keys', { name: 'two' }, 201);
    await hook.until(1);
    let w;
    do w = await get(d, key, `/v1/admin/webhooks/${id}`);
    while (!w.lastTriedAt);
    assert.deepEqual([w.lastStatus, w.lastError], [500, 'it answered 500']);
    await hook.until(4);
    assert.deepEqual(hook.got.map((g) => g.json.name), ['one', 'one', 'one', 'two']);
    assert.ok(hook.got.every((g) => g.path === '/hook?a=b'), 'no redirect was followed');
    do w = await get(d, key, `/v1/admin/webhooks/${id}`);
    while (w.lastStatus !== 204);
    assert.equal(w.lastError, null);
  });
  await hook.close();
});

test('webhooks: what a killed daemon did not deliver is delivered by the next', async () => {
  const dir = makeData();
  const first = await listen(() => () => {}); // takes the request, and never answers
  try {
    let key, names = ['a', 'b', 'c'];
    await withDaemon({ dir, ...unlimited }, async (d) => {
      key = adminKey(d);
      await makeHook(d, { name: 'ops', url: first.url, eventTypes: ['key.created'] });
      for (const name of names) await post(d, key, '/v1/admin/api-keys', { name }, 201);
      await first.until(1);
      await get(d, key, '/v1/admin/activity'); // all are written
      await d.kill('SIGKILL');
    });
    await first.close();
    const second = await listen(() => 204, first.port);
    await withDaemon({ dir, ...unlimited }, async (d) => {
      await second.until(3);
      await post(d, key, '/v1/admin/api-keys', { name: 'd' }, 201);
      await second.until(4);
      assert.deepEqual(second.got.map((g) => g.json.name), [...names, 'd']);
      let list;
      do list = await get(d, key, '/v1/admin/webhooks');
      while (list[0].lastStatus !== 204);
      await d.stop();
    });
    await second.close();
    // And what was is not told again.
    const third = await listen(() => 204, first.port);
    await withDaemon({ dir, ...unlimited }, async (d) => {
      await post(d, key, '/v1/admin/api-keys', { name: 'e' }, 201);
      await third.until(1);
      assert.equal(third.got[0].json.name, 'e');
    });
    await third.close();
  } finally {
    dropData(dir);
  }
});
