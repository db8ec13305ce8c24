// SPDX-License-Identifier: Apache-2.0
// A real S3 server (s3rver, which verifies signatures) in this process, and a proxy before it that can fail in every
// way a network or a store does.

import S3rver from '@20minutes/s3rver';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const bucket = 'holm-test';

export class Store {
  static async start() {
    const s = new Store();
    s.dir = mkdtempSync(join(tmpdir(), 'holm-s3-'));
    s.server = new S3rver({ port: 0, address: '127.0.0.1', directory: s.dir, silent: true, configureBuckets: [{ name: bucket }] });
    s.port = (await s.server.run()).port;
    s.proxy = createServer((req, res) => s.#pass(req, res));
    s.proxy.listen(0, '127.0.0.1');
    await once(s.proxy, 'listening');
    s.url = `http://127.0.0.1:${s.proxy.address().port}`;
    s.uploads = new Map(); // id -> Map of part number -> { etag, size }, as real stores list them
    s.clear();
    return s;
  }

  // No faults, nothing seen.
  clear() {
    this.seen = []; // { method, key, query, range }
    this.refused = 0; // bodies that were not what their sum said
    this.fault = () => undefined;
  }

  count(method, pattern = /./) {
    return this.seen.filter((r) => r.method === method && pattern.test(r.url)).length;
  }

  // Resolves with the first request from now on that fits.
  next(is) {
    return new Promise((done) => {
      const before = this.fault;
      this.fault = (r) => {
        if (is(r)) done(r);
        return before(r);
      };
    });
  }

  async #body(req) {
    const pieces = [];
    for await (const piece of req) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  // What fault(request) returns: undefined (none), { status, code }, { body } (this is the answer), { cut: bytes of the answer or 0 }, { flip: true } (a byte
  // of the answer is wrong) or { flip: TEXT } (that behind TEXT is), { damage: true } (a byte of what is uploaded is), { lose: true } (done, but the answer is lost),
  // or a promise of one of them.
  async #pass(req, res) {
    const url = new URL(req.url, 'http://x');
    const r = { method: req.method, url: req.url, query: url.searchParams, path: url.pathname, range: req.headers.range };
    this.seen.push(r);
    req.on('error', () => {});
    res.on('error', () => {});
    let fault;
    try {
      fault = await this.fault(r);
      const body = await this.#body(req);
      if (fault?.status) return this.#refuse(res, fault);
      if (fault?.body) return void res.end(fault.body);
      if (fault?.cut === 0) return req.socket.destroy();
      if (fault?.damage && body.length) body[body.length >> 1] ^= 1;
      if (r.method === 'GET' && url.searchParams.has('uploadId')) return this.#list(res, url.searchParams.get('uploadId'));
      const answer = await this.#forward(req, body);
      this.#note(r, body, answer);
      if (fault?.lose) return req.socket.destroy();
      this.#answer(res, answer, fault);
    } catch {
      req.socket.destroy();
    }
  }

  #refuse(res, { status, code, region }) {
    res.writeHead(status, { 'content-type': 'application/xml' });
    res.end(`<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>for a test</Message>${region ? `<Region>${region}</Region>` : ''}</Error>`);
  }

  // That the body is what x-amz-content-sha256 says is what every store verifies; this one does not.
  #forward(req, body) {
    if (createHash('sha256').update(body).digest('hex') !== req.headers['x-amz-content-sha256']) {
      this.refused++;
      return { status: 400, headers: {}, body: Buffer.from('<Error><Code>XAmzContentSHA256Mismatch</Code><Message>wrong</Message></Error>') };
    }
    return new Promise((done, fail) => {
      const q = request({ host: '127.0.0.1', port: this.port, method: req.method, path: req.url, headers: req.headers, agent: false });
      q.on('error', fail);
      q.on('response', async (a) => done({ status: a.statusCode, headers: a.headers, body: await this.#body(a) }));
      q.end(body);
    });
  }

  #note({ method, query }, body, { status, headers, body: answer }) {
    const id = query.get('uploadId');
    if (status !== 200) return;
    if (method === 'POST' && query.has('uploads')) this.uploads.set(/<UploadId>(.*?)</.exec(answer)[1], new Map());
    else if (method === 'PUT' && id) this.uploads.get(id)?.set(Number(query.get('partNumber')), { etag: headers.etag, size: body.length });
    else if (method === 'POST' && id) this.uploads.delete(id);
  }

  #list(res, id) {
    const parts = this.uploads.get(id);
    if (!parts) return this.#refuse(res, { status: 404, code: 'NoSuchUpload' });
    const rows = [...parts].sort(([a], [b]) => a - b).map(([n, p]) =>
      `<Part><PartNumber>${n}</PartNumber><ETag>${p.etag.replaceAll('"', '&quot;')}</ETag><Size>${p.size}</Size></Part>`);
    res.end(`<ListPartsResult><IsTruncated>false</IsTruncated>${rows.join('')}</ListPartsResult>`);
  }

  #answer(res, { status, headers, body }, fault) {
    if (fault?.flip && body.length) body[fault.flip === true ? body.length >> 1 : body.indexOf(fault.flip) + fault.flip.length] ^= 1;
    res.writeHead(status, { ...headers, 'content-length': headers['content-length'] ?? body.length });
    if (fault?.cut) {
      res.write(body.subarray(0, fault.cut));
      return setImmediate(() => res.destroy());
    }
    res.end(body);
  }

  // Names of the objects that are there, and of uploads that have not ended.
  objects() {
    const top = join(this.dir, bucket);
    const walk = (dir) => (existsSync(dir) ? readdirSync(dir) : []).flatMap((name) => {
      const path = join(dir, name);
      return statSync(path).isDirectory() ? walk(path) : [path.slice(top.length + 1)];
    });
    return walk(top).filter((n) => n.endsWith('._S3rver_object')).map((n) => n.replace('._S3rver_object', '')).sort();
  }

  // What is stored under a name, as text.
  read(name) {
    return readFileSync(join(this.dir, bucket, `${name}._S3rver_object`), 'utf8');
  }

  async stop() {
    this.proxy.closeAllConnections();
    this.proxy.close();
    await this.server.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
