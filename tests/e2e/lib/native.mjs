// SPDX-License-Identifier: Apache-2.0
// The native API of a test's daemon, as a client with the first key sees it.
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './holm.mjs';

// One of each daemon.
const documents = new WeakMap();

export class Api {
  // key: default is the one that holmd made when it started for the first time. Every answer is held against the
  // daemon's own OpenAPI document, unless `check` is false.
  constructor(daemon, key, { check = true } = {}) {
    this.daemon = daemon;
    this.check = check;
    this.key = key ?? readFileSync(join(daemon.data, 'admin.key'), 'utf8').trim();
    this.agent = new http.Agent({ keepAlive: true });
  }

  close() {
    this.agent.destroy();
  }

  // The answer of any status, its body unread; `body` may be a Buffer, text, an object or a stream.
  open(method, path, body, headers = {}) {
    const [hostname, port] = this.daemon.address.split(':');
    const isStream = typeof body?.pipe === 'function';
    const isRaw = isStream || typeof body === 'string' || Buffer.isBuffer(body);
    const data = body === undefined || isRaw ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const rq = http.request({
        hostname, port, method, path, agent: this.agent,
        headers: {
          'x-api-key': this.key,
          ...(body === undefined || isRaw ? {} : { 'content-type': 'application/json' }),
          ...(data !== undefined && !isStream ? { 'content-length': Buffer.byteLength(data) } : {}),
          ...headers,
        },
      }, resolve);
      rq.on('error', reject);
      if (isStream) body.pipe(rq);
      else rq.end(data);
    });
  }

  async hold(method, path, answer, bytes) {
    const { checkAnswer } = await import('../../lib/openapi_check.mjs');
    if (!documents.has(this.daemon))
      documents.set(this.daemon, fetch(`http://${this.daemon.address}/openapi.json`).then((r) => r.json()));
    const document = await documents.get(this.daemon);
    checkAnswer(document, method, path, answer.statusCode, answer.headers, bytes);
  }

  // {status, headers, body, json}, of any status.
  async request(method, path, body, headers) {
    const answer = await this.open(method, path, body, headers);
    const parts = [];
    for await (const part of answer) parts.push(part);
    const bytes = Buffer.concat(parts);
    let json;
    try { json = JSON.parse(bytes); } catch { json = undefined; }
    if (this.check) await this.hold(method, path, answer, bytes);
    return { status: answer.statusCode, headers: answer.headers, body: bytes, json };
  }

  // The JSON of an answer that has to be a success.
  async call(method, path, body, headers) {
    const answer = await this.request(method, path, body, headers);
    if (answer.status >= 300) {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body}\n${this.daemon.log.slice(-3000)}`);
    }
    return answer.json;
  }

  async launch(more = {}) {
    const vm = await this.call('POST', '/v1/vms', more);
    return this.running(vm.id);
  }

  async running(id) {
    let vm;
    await until(async () => {
      vm = await this.call('GET', `/v1/vms/${id}`);
      if (vm.status === 'error') throw new Error(`vm ${id}: ${vm.detail}\n${this.daemon.log.slice(-3000)}`);
      return vm.status === 'running';
    }, `vm ${id} to run`);
    return vm;
  }

  // A command that has to end with 0; its standard output.
  async exec(id, command, more = {}) {
    const argv = Array.isArray(command) ? command : ['sh', '-c', command];
    const r = await this.call('POST', `/v1/vms/${id}/exec`, { command: argv, ...more });
    if (r.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${r.exitCode} ${r.stderr}`);
    return r.stdout;
  }

  fork(id, more = {}) {
    return this.call('POST', `/v1/vms/${id}/fork`, more);
  }

  delete(id) {
    return this.call('DELETE', `/v1/vms/${id}`);
  }
}
