// SPDX-License-Identifier: Apache-2.0
// The run-dat-sheesh API of a test's daemon, as its clients use it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export class Rds {
  // base: behind the address; "" for a listener where the API is mounted at /. Every answer is held against the
  // listener's own OpenAPI document, unless `check` is false.
  constructor(daemon, { key, base = '/rds', url = daemon.url, check = true } = {}) {
    Object.assign(this, { daemon, url, check, prefix: base, base: url + base });
    this.key = key ?? readFileSync(join(daemon.data ?? daemon.dir, 'admin.key'), 'utf8').trim();
  }

  async hold(method, path, answer, bytes) {
    const { checkAnswer } = await import('../../lib/openapi_check.mjs');
    this.document ??= fetch(`${this.url}/openapi/rds.json`).then((r) => r.json());
    checkAnswer(await this.document, method, this.prefix + path, answer.status, answer.headers, bytes);
  }

  // {status, headers, body, json}, of any status.
  async request(method, path, body, { headers = {}, signal } = {}) {
    const isRaw = typeof body === 'string' || body instanceof Uint8Array;
    const answer = await fetch(this.base + path, {
      method, signal,
      headers: { ...(this.key && { 'x-api-key': this.key }), ...(body !== undefined && !isRaw && { 'content-type': 'application/json' }), ...headers },
      body: body === undefined || isRaw ? body : JSON.stringify(body),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (this.check) await this.hold(method, path, answer, bytes);
    // An archive is not tried: to make text of 10 MiB takes as long as to carry it.
    const json = /json/.test(answer.headers.get('content-type') ?? '') ? JSON.parse(bytes) : undefined;
    return { status: answer.status, headers: answer.headers, body: bytes, json };
  }

  // The JSON of an answer of this status.
  async call(method, path, body, status = method === 'POST' ? 201 : 200) {
    const answer = await this.request(method, path, body);
    if (answer.status !== status) {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body}\n${this.daemon.log.slice(-3000)}`);
    }
    return answer.json;
  }

  create(more = {}) {
    return this.call('POST', '/v1/vms', { cpu: 1, memMb: 256, allowIps: [], ...more });
  }

  get(id) {
    return this.call('GET', `/v1/vms/${id}`);
  }

  exec(id, cmd, more = {}) {
    return this.call('POST', `/v1/vms/${id}/exec`, { cmd, ...more }, 200);
  }

  runTs(id, code, more = {}) {
    return this.call('POST', `/v1/vms/${id}/run-ts`, { code, ...more }, 200);
  }

  delete(id) {
    return this.request('DELETE', `/v1/vms/${id}`);
  }
}
