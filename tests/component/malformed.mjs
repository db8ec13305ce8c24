// SPDX-License-Identifier: Apache-2.0
// Requests that are wrong in all the ways that a client can think of, made from a row of an OpenAPI document, and a
// client that sends bytes as they are: those of node would not.

import { createHash } from 'node:crypto';
import { connect } from 'node:net';

// ---- chance ----

// The same numbers for the same text, whatever else is asked for (mulberry32).
export function randomOf(text) {
  let a = createHash('sha256').update(text).digest().readUInt32LE();
  const next = () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    chance: (p) => next() < p,
    below: (n) => Math.floor(next() * n),
    pick: (list) => list[Math.floor(next() * list.length)],
  };
}

// ---- values ----

const texts = [
  '', ' ', 'x', 'null', '0', '-1', 'true', '../../etc/passwd', '/', '/etc/passwd', '/workspace/../x', 'a\u0000b', '\n',
  '\u202e', '\ufeff', '😀', 'é'.repeat(300), 'x'.repeat(70000), "'; drop table vms; --", '%s%n%x', '${x}', '<b>', 'con',
  'http://127.0.0.1:1/', 'file:///etc/passwd', '00000000-0000-0000-0000-000000000000', '2020-13-45T99:99:99Z',
  '::1/200', '10.0.0.0/33', '-rf', '--help', '\\', '"',
];
const numbers = [0, -1, 1, 0.5, -0.0, 1e308, -1e308, 2 ** 31, 2 ** 53, 2 ** 63, -(2 ** 63), 65536, 1e-300];
const anything = (random, depth = 0) => random.pick([
  () => random.pick(texts), () => random.pick(numbers), () => null, () => true, () => false, () => [],
  () => ({}), () => ({ a: { b: { c: 1 } } }), () => [[[]]],
  () => (depth > 3 ? 1 : [anything(random, depth + 1), anything(random, depth + 1)]),
  () => (depth > 3 ? 1 : { [random.pick(texts)]: anything(random, depth + 1) }),
])();

const resolve = (document, schema) =>
  schema?.$ref ? schema.$ref.split('/').slice(1).reduce((at, k) => at[k], document) : schema ?? {};

// A value that the schema may well allow.
function fitting(random, document, schema, depth = 0) {
  const s = resolve(document, schema);
  if (s.enum) return random.pick(s.enum);
  if (s.oneOf) return fitting(random, document, random.pick(s.oneOf), depth);
  const type = Array.isArray(s.type) ? random.pick(s.type) : s.type;
  if (type === 'string') return random.pick(['a', 'bash', 'true', '/tmp/x', 'sh', '1.2.3.4', ...texts.slice(0, 3)]);
  if (type === 'integer' || type === 'number')
    return random.pick([s.minimum ?? 0, (s.minimum ?? 0) + 1, s.maximum ?? 7, s.default ?? 1]);
  if (type === 'boolean') return random.chance(0.5);
  if (type === 'null') return null;
  if (type === 'array')
    return Array.from({ length: random.below(3) }, () => fitting(random, document, s.items, depth + 1));
  if (!s.properties) return random.chance(0.5) ? {} : { KEY: 'value' };
  const keys = Object.keys(s.properties).filter((k) => s.required?.includes(k) || random.chance(0.3));
  return Object.fromEntries(keys.map((k) => [k, fitting(random, document, s.properties[k], depth + 1)]));
}

// The same with something wrong somewhere.
function spoiled(random, value, schema) {
  if (value === null || typeof value !== 'object' || random.chance(0.15)) return anything(random);
  if (Array.isArray(value)) {
    const i = random.below(value.length + 1);
    return random.chance(0.1)
      ? Array.from({ length: random.pick([300, 9000]) }, () => 'x')
      : [...value.slice(0, i), spoiled(random, value[i] ?? null), ...value.slice(i + 1)];
  }
  const known = Object.keys(schema?.properties ?? value);
  const key = random.pick([...known, ...known, 'unknown', '__proto__', '', 'constructor']);
  const copy = { ...value };
  if (random.chance(0.2)) delete copy[key];
  else Object.defineProperty(copy, key, { value: spoiled(random, copy[key] ?? null), enumerable: true });
  return copy;
}

// ---- bodies ----

const bytes = (...list) => Buffer.from(list);

// JSON that is none, or that nobody would send.
function broken(random, good) {
  const text = JSON.stringify(good) ?? '{}';
  return random.pick([
    () => text.slice(0, random.below(text.length)),
    () => text + random.pick(['}', ',', 'x', '\0', '{}', ' null']),
    () => Buffer.concat([bytes(0xef, 0xbb, 0xbf), Buffer.from(text)]),
    () => Buffer.concat([Buffer.from('{"a":"'), bytes(random.pick([0xff, 0xc0, 0xed, 0x80]), 0xa0, 0x80), Buffer.from('"}')]),
    () => Buffer.from(text, 'utf16le'),
    () => '{"a":1,"a":2}',
    () => '{"a":"\\ud800"}',
    () => '{"a":1e999,"b":-1e999}',
    () => '{"a":NaN}',
    () => `{"a":${'9'.repeat(400)}}`,
    () => '['.repeat(random.pick([10, 5000])),
    () => `{"a":${'['.repeat(40)}${']'.repeat(40)}}`,
    () => `[${'0,'.repeat(9000)}0]`,
    () => random.pick(['[]', '1', '"x"', 'null', 'true', '', ' ', '{', '{]', "{'a':1}", '{"a"}', '{,}', '\0']),
    () => Buffer.from(Array.from({ length: random.below(300) }, () => random.below(256))),
    () => `{"a":"${'x'.repeat(random.pick([1 << 20, 3 << 20]))}"}`,
  ])();
}

function makeBody(random, document, operation) {
  const content = operation.requestBody?.content;
  const schema = resolve(document, content?.['application/json']?.schema);
  if (!content && random.chance(0.8)) return undefined;
  const good = fitting(random, document, schema);
  if (content && !content['application/json'] && random.chance(0.5))
    return Buffer.from(Array.from({ length: random.below(3000) }, () => random.below(256)));
  if (random.chance(0.3)) return broken(random, good);
  let value = good;
  for (let i = random.below(3); i >= 0; i--) value = spoiled(random, value, schema);
  return JSON.stringify(value) ?? '';
}

// ---- paths and queries ----

const words = [
  'x', '.', '..', '%', '%zz', '%0', '%00', '%ff', '%c0%af', '%2e%2e', '..%2f..%2fetc', '%20', 'a%0d%0ab', "'", '~',
  'vm-', 'vm-x', 'snap-00000000-0000-0000-0000-000000000000', '00000000-0000-8000-8000-000000000000', '0', '-1',
  'ffffffff-ffff-ffff-ffff-ffffffffffff', '%F0%9F%98%80', 'x'.repeat(1100), 'x'.repeat(200), '{id}', ':', '@', ';', '=',
];

function makePath(random, template, fixtures) {
  const pieces = template.split('/');
  return pieces.map((p, i) => {
    if (!p.startsWith('{')) return p;
    const real = fixtures.id(pieces[i - 1]);
    return real && random.chance(0.6) ? real : random.pick(words);
  }).join('/');
}

const queryWords = ['', 'x', '-1', '0', '1e9', 'true', '%', '%zz', '%00', '%ff', '+', 'a=b', 'x'.repeat(3000), '%F0%9F%98%80', '9'.repeat(30)];

function makeQuery(random, document, operation) {
  const parameters = (operation.parameters ?? []).filter((p) => p.in === 'query');
  const parts = [];
  for (const p of parameters) {
    if (!p.required && random.chance(0.5)) continue;
    if (p.required && random.chance(0.2)) continue;
    const good = encodeURIComponent(String(fitting(random, document, p.schema)).slice(0, 3000));
    const value = random.chance(0.4) ? good : random.pick(queryWords);
    parts.push(random.chance(0.05) ? p.name : `${p.name}=${value}`);
    if (random.chance(0.05)) parts.push(`${p.name}=${random.pick(queryWords)}`);
  }
  if (random.chance(parameters.length ? 0.15 : 0.3)) parts.push(`${random.pick(['unknown', '', '%', 'a.b', '__proto__'])}=${random.pick(queryWords)}`);
  return parts.length ? `?${parts.join(random.chance(0.05) ? '&&' : '&')}` : '';
}

// ---- headers ----

const types = [
  undefined, '', 'text/plain', 'application/json; charset=utf-16', 'application/jsonx', 'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded', 'APPLICATION/JSON', '/', 'application/octet-stream', 'x'.repeat(500),
];
const cookies = [
  'rds_session=', 'rds_session', '=', ';;;', 'rds_session=%00', `rds_session=${'x'.repeat(4000)}`, 'rds_session="x"',
  'a=b; rds_session=x; rds_session=y', 'rds_session=' + 'A'.repeat(43), 'rds_session=\xff\xfe',
];
const keys = ['', 'x', 'holm_', 'x'.repeat(5000), '\xff', 'null', 'Bearer x'];

function makeHeaders(random, { fixtures, cookie }, hasBody) {
  const headers = [];
  const who = random.below(20);
  if (who < 12) headers.push(['X-API-Key', fixtures.key]);
  else if (who < 14) headers.push(['Authorization', `Bearer ${fixtures.key}`]);
  else if (who < 16 && cookie) headers.push(['Cookie', cookie]);
  else if (who < 17) headers.push(['Cookie', random.pick(cookies)]);
  else if (who < 18) headers.push([random.pick(['X-API-Key', 'Authorization']), random.pick(keys)]);
  if (hasBody || random.chance(0.05)) {
    const type = random.chance(0.85) ? 'application/json' : random.pick(types);
    if (type !== undefined) headers.push(['Content-Type', type]);
  }
  const rare = [
    ['Accept', random.pick(['application/x-ndjson', 'text/html', '*/*', ',;q=', 'text/event-stream'])],
    ['Range', random.pick(['bytes=0-1', 'bytes=9-1', 'bytes=-', 'bytes=99999999999999999999-', 'x=1', 'bytes=0-1,3-4'])],
    ['Origin', random.pick(['http://evil.example', 'null', '', 'x'])],
    ['Sec-Fetch-Site', random.pick(['cross-site', 'same-origin', ''])],
    ['Last-Event-ID', random.pick(['-1', 'x', '9'.repeat(40)])],
    ['If-None-Match', random.pick(['*', '"', 'W/'])],
    ['Upgrade', 'websocket'], ['Connection', 'Upgrade'], ['Sec-WebSocket-Version', '13'], ['Sec-WebSocket-Key', 'x'],
    ['Expect', '100-continue'], ['X-Forwarded-Proto', 'https'], ['Accept-Encoding', 'gzip;q=x'],
  ];
  for (const h of rare) if (random.chance(0.03)) headers.push(h);
  return headers;
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'BREW', 'get', 'PROPFIND'];

// isPlain: the answer is to be one of the row's; else the method, the host or the framing is wrong, too.
export function malformed(random, document, row, world) {
  const method = random.chance(0.95) ? row.method : random.pick(methods);
  const path = makePath(random, row.path, world.fixtures);
  const target = path + makeQuery(random, document, row.operation);
  const body = makeBody(random, document, row.operation);
  // An answer to what is refused unread may be lost behind a body that is still on its way.
  const isShort = (body?.length ?? 0) < 4096;
  const headers = makeHeaders(random, world, body !== undefined).filter(([k]) => isShort || k !== 'Expect');
  const wrongHost = random.chance(0.03);
  headers.unshift(['Host', wrongHost ? random.pick(['evil.example', 'x y', '[::', '']) : 'localhost']);
  const wrongFraming = random.chance(0.02) && isShort;
  const framing = wrongFraming ? random.pick(['double', 'unknown']) : random.chance(0.1) ? 'chunked' : 'length';
  const isPlain = method === row.method && !path.split('/').some((p) => p === '');
  return { method, path: target, body, framing, isPlain, head: [method, target, ...headers], headers };
}

// ---- the client ----

function encode(rq) {
  const headers = rq.headers.map(([k, v]) => `${k}: ${v}\r\n`).join('');
  const body = Buffer.from(rq.body ?? '');
  const chunks = body.length ? Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]) : body;
  const frames = {
    length: () => [rq.body === undefined ? '' : `Content-Length: ${body.length}\r\n`, body],
    chunked: () => ['Transfer-Encoding: chunked\r\n', Buffer.concat([chunks, Buffer.from('0\r\n\r\n')])],
    double: () => [`Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n`, Buffer.concat([chunks, Buffer.from('0\r\n\r\n')])],
    unknown: () => ['Transfer-Encoding: zip\r\n', body],
  };
  const [length, data] = frames[rq.framing]();
  return Buffer.concat([Buffer.from(`${rq.method} ${rq.path} HTTP/1.1\r\n${headers}${length}\r\n`, 'latin1'), data]);
}

const ANSWER_MAX_BYTES = 64 << 20;

// One connection at a time, kept while the server keeps it.
export class Wire {
  constructor(url) {
    const { hostname, port } = new URL(url);
    this.at = { host: hostname, port: Number(port) };
  }

  close() {
    this.socket?.destroy();
    this.socket = undefined;
  }

  open() {
    this.close();
    const socket = connect(this.at);
    Object.assign(this, { socket, data: Buffer.alloc(0), ended: false, wake: () => {} });
    const when = (event, then) => socket.on(event, (x) => {
      if (this.socket !== socket) return; // one before this
      then(x);
      this.wake();
    });
    when('data', (d) => {
      this.data = Buffer.concat([this.data, d]);
      if (this.data.length > ANSWER_MAX_BYTES) socket.destroy(); // an answer without end is none
    });
    for (const event of ['end', 'error', 'close']) when(event, () => { this.ended = true; });
  }

  async more(what) {
    if (this.ended) throw new Error(`the connection ended ${what}`);
    await new Promise((done) => { this.wake = done; });
  }

  async head() {
    let end;
    while ((end = this.data.indexOf('\r\n\r\n')) < 0) await this.more('before an answer');
    const [first, ...lines] = this.data.subarray(0, end).toString('latin1').split('\r\n');
    this.data = this.data.subarray(end + 4);
    const status = Number(first.split(' ')[1]);
    if (status === 100) return this.head();
    const headers = Object.fromEntries(lines.map((l) => [l.slice(0, l.indexOf(':')).toLowerCase(), l.slice(l.indexOf(':') + 1).trim()]));
    return { status, headers };
  }

  async take(n) {
    while (this.data.length < n) await this.more('in the middle of a body');
    const part = this.data.subarray(0, n);
    this.data = this.data.subarray(n);
    return part;
  }

  async chunked() {
    const parts = [];
    for (;;) {
      let end;
      while ((end = this.data.indexOf('\r\n')) < 0) await this.more('in the middle of a chunk');
      const n = parseInt(this.data.subarray(0, end).toString(), 16);
      await this.take(end + 2);
      parts.push(await this.take(n));
      await this.take(2);
      if (!n) return Buffer.concat(parts);
    }
  }

  // A connection that the server has ended meanwhile is no answer: then on a new one.
  async begin(rq) {
    const isNew = !this.socket || this.ended;
    if (isNew) this.open();
    this.socket.write(encode(rq));
    try {
      return await this.head();
    } catch (e) {
      if (isNew) throw e;
    }
    this.open();
    this.socket.write(encode(rq));
    return this.head();
  }

  // {status, headers, body}. What goes on for ever is cut: isEndless.
  async send(rq) {
    const answer = await this.begin(rq);
    const type = answer.headers['content-type'] ?? '';
    if (answer.status === 101 || type.startsWith('text/event-stream') || (type.includes('ndjson') && answer.status < 300)) {
      this.close();
      return { ...answer, isEndless: true };
    }
    const hasBody = rq.method !== 'HEAD' && ![204, 304].includes(answer.status);
    answer.body = Buffer.alloc(0);
    if (hasBody && answer.headers['transfer-encoding']) answer.body = await this.chunked();
    else if (hasBody && answer.headers['content-length']) answer.body = await this.take(Number(answer.headers['content-length']));
    answer.body = answer.body.toString();
    if (answer.headers.connection?.toLowerCase() === 'close' || rq.framing === 'unknown') this.close();
    return answer;
  }
}
