// SPDX-License-Identifier: Apache-2.0
// A holmd of a test's own: started, asked, ended, and looked after.
//
// tests/e2e/run makes what all tests share: an installed Holm (HOLM_E2E_ROOT) and a data directory
// with kernel, images and the templates that the first start made (HOLM_E2E_DATA). One daemon uses
// a data directory at a time; each test file starts and ends its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as host from './host.mjs';

export const ROOT = process.env.HOLM_E2E_ROOT;
export const DATA = process.env.HOLM_E2E_DATA;
export const UID_FIRST = Number(process.env.HOLM_TEST_UID_FIRST ?? 1980000000);
export const UID_COUNT = 512;
// Those whose images are built by default.
export const LANGUAGES = ['bash', 'c', 'coffeescript', 'deno', 'nodejs', 'perl', 'python', 'typescript'];

// Nothing here may take longer; a hang becomes a failure that says where.
export const PATIENCE_MS = 120_000;

if (!ROOT || !DATA) throw new Error('run tests/e2e/run, which prepares what these tests need');

const running = new Set();

// When the test itself is ended early, its daemons are asked to end too, and are waited for.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, async () => {
    await Promise.all([...running].map((daemon) => daemon.stop().catch(() => {})));
    process.exit(130);
  });
}

// Polls a claim until it holds. Only for what has no event to wait for.
export async function until(claim, what, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  for (;;) {
    const value = await claim();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${patienceMs} ms in vain for: ${typeof what === 'function' ? what() : what}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

export class Daemon {
  // set: options like {'limits.vms_max': 4}. By default without a pool: then no VM is there that the
  // test has not asked for.
  constructor({ set = {}, data = DATA, uidFirst = UID_FIRST } = {}) {
    this.data = data;
    this.uidFirst = uidFirst;
    this.set = {
      'server.listen': '127.0.0.1:0', 'paths.data_dir': data, 'engine.uid_first': uidFirst,
      'engine.uid_count': UID_COUNT, 'pool.default': 0, 'pool.vms': 0,
      'network.prefix': 'hte2e', 'network.pool': '10.203.0.0/16', ...set,
    };
    this.log = '';
    this.seen = new Set();
  }

  static async start(options) {
    const daemon = new Daemon(options);
    await daemon.launch();
    return daemon;
  }

  // Starts the process and waits for its word that it listens.
  async launch() {
    const args = Object.entries(this.set).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    this.process = spawn(join(ROOT, 'sbin/holmd'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.exited = once(this.process, 'exit');
    running.add(this);
    const from = this.log.length; // what a former process of it said is not this one's
    this.exited.then(() => running.delete(this));
    await new Promise((resolve, reject) => {
      this.process.stderr.setEncoding('utf8').on('data', (text) => {
        this.log += text;
        const address = /listening address=(\S+)/.exec(this.log.slice(from));
        if (address) {
          this.address = address[1];
          resolve();
        }
      });
      this.exited.then(() => reject(new Error(`holmd ended at its start:\n${this.log}`)));
    });
    this.url = `http://${this.address}`;
  }

  get pid() {
    return this.process.pid;
  }

  // {status, headers, text, json}; of any status.
  request(method, path, body, { headers = {}, signal } = {}) {
    const [hostname, port] = this.address.split(':');
    const data = body === undefined ? undefined
      : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const rq = http.request({
        hostname, port, method, path, agent: false, signal,
        headers: { ...(data === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      }, (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part)).on('error', reject).on('end', () => {
          const text = Buffer.concat(parts).toString();
          let json;
          try { json = JSON.parse(text); } catch { json = undefined; }
          resolve({ status: answer.statusCode, headers: answer.headers, text, json });
        });
      });
      rq.on('error', reject).end(data);
    });
  }

  get(path) {
    return this.request('GET', path);
  }

  // Runs a program and expects it to have run.
  async execute(language, code, more = {}) {
    const answer = await this.request('POST', '/api/v1/execute', { language, code, ...more });
    if (answer.status !== 200) throw new Error(`execute ${language}: ${answer.status} ${answer.text}\n${this.log.slice(-2000)}`);
    return answer.json;
  }

  // Waits until these languages can be run; throws when one never will be.
  async ready(names = LANGUAGES) {
    await until(async () => {
      const { json } = await this.get('/api/v1/languages');
      const wanted = json.languages.filter((language) => names.includes(language.name));
      const bad = wanted.find((language) => ['failed', 'missing'].includes(language.status));
      if (bad) throw new Error(`${bad.name} is ${bad.status}: ${bad.detail}\n${this.log.slice(-3000)}`);
      return wanted.length === names.length && wanted.every((language) => language.status === 'ready');
    }, `languages ${names} to be ready`);
  }

  // Waits until so many VMs of a language wait in the pool.
  async pooled(language, count) {
    await until(async () => (await this.get(`/api/v1/languages/${language}`)).json.pooled >= count,
      `${count} pooled VMs of ${language}`);
  }

  // One figure of /metrics, by its whole name with labels.
  async metric(name) {
    const { text } = await this.get('/metrics');
    const line = text.split('\n').find((l) => l.startsWith(`${name} `));
    if (!line) throw new Error(`no metric ${name}`);
    return Number(line.slice(name.length + 1));
  }

  // The VMs that are there now, by the names of their directories.
  vms() {
    const ids = host.vmDirs(this.data);
    ids.forEach((id) => this.seen.add(id));
    return ids;
  }

  // Waits until no VM is left while the daemon goes on; says what is there if that never happens.
  async idle() {
    await until(() => this.vms().length === 0 && this.monitors().length === 0,
      () => `no VM left, but there are ${this.leftovers().join(', ')}; log:\n${this.log.slice(-3000)}`);
  }

  monitors() {
    return host.processesOfUids(this.uidFirst, UID_COUNT);
  }

  // Everything that this daemon's VMs have left on the host; empty after a clean end.
  leftovers() {
    const ids = [...new Set([...this.seen, ...host.vmDirs(this.data)])];
    return [
      ...this.monitors().map((p) => `process ${p.pid} ${p.command}`),
      ...host.mountsBelow(this.data).map((path) => `mount ${path}`),
      ...host.socketsBelow(join(this.data, 'vms')).map((path) => `socket ${path}`),
      ...host.vmDirs(this.data).map((id) => `directory vms/${id}`),
      ...host.cgroupsOf(ids).map((path) => `cgroup ${path}`),
    ];
  }

  async end(signal) {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    const [code, by] = await this.exited;
    return by ?? code;
  }

  // VMs that live outlive a daemon, and the next test's must not find them.
  async deleteVms() {
    const headers = { 'x-api-key': readFileSync(join(this.data, 'admin.key'), 'utf8').trim() };
    for (const kind of ['vms', 'snapshots']) {
      const { json } = await this.request('GET', `/v1/${kind}`, undefined, { headers });
      for (const { id } of json ?? []) await this.request('DELETE', `/v1/${kind}/${id}`, undefined, { headers });
    }
  }

  // Asks it to end and waits; 0 is a clean end.
  stop() {
    return this.end('SIGTERM');
  }

  // The same, and no VM is left to the next test.
  async close() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.deleteVms();
    return this.stop();
  }

  kill9() {
    return this.end('SIGKILL');
  }

  // Runs the command line against this daemon: {code, stdout, stderr}.
  async holm(args, { input = '', env = {}, cwd } = {}) {
    const child = spawn(join(ROOT, 'bin/holm'), args,
      { env: { ...process.env, HOLM_URL: this.url, HOLM_DATA: this.data, ...env }, cwd });
    const stdout = [], stderr = [];
    child.stdout.on('data', (part) => stdout.push(part));
    child.stderr.on('data', (part) => stderr.push(part));
    child.stdin.on('error', () => {}).end(input);
    const [code] = await once(child, 'close');
    return { code, stdout: Buffer.concat(stdout).toString('latin1'), stderr: Buffer.concat(stderr).toString() };
  }
}
