// SPDX-License-Identifier: Apache-2.0
// The run-dat-sheesh API of a test's daemon, as its clients use it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export class Rds {
  // base: behind the address; "" for a listener where the API is mounted at /.
  constructor(daemon, { key, base = '/rds', url = daemon.url } = {}) {
    this.daemon = daemon;
    this.base = url + base;
    this.key = key ?? readFileSync(join(daemon.data ?? daemon.dir, 'admin.key'), 'utf8').trim();
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
