// SPDX-License-Identifier: Apache-2.0
// A holmd on the fake engine, with a data directory of its own, on a port that it chose.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const build = resolve(process.env.HOLM_BUILD ?? 'build');
const holmd = join(build, 'src/holmd/holmd');
const images = ['bash', 'c', 'nodejs', 'perl', 'python', 'typescript'];

// An archive of one file in cpio's newc form, as images/initramfs makes it.
function cpio(name, content) {
  const number = (n) => n.toString(16).padStart(8, '0');
  const pad = (text) => text + '\0'.repeat((4 - (text.length % 4)) % 4);
  const entry = (path, mode, data) =>
    pad('070701' + [0, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, path.length + 1, 0].map(number).join('') + path + '\0') +
    pad(data);
  return entry(name, 0o100755, content) + entry('TRAILER!!!', 0, '');
}

// A data directory with a kernel and images that are files by name only: the fake engine reads none of them.
export function makeData() {
  const dir = mkdtempSync(join(tmpdir(), 'holm-component-'));
  mkdirSync(join(dir, 'kernel'), { recursive: true });
  writeFileSync(join(dir, 'kernel', 'vmlinuz'), 'vmlinuz');
  writeFileSync(join(dir, 'kernel', 'initrd.img'), cpio('init', 'agent'));
  for (const name of images) {
    mkdirSync(join(dir, 'images', name), { recursive: true });
    writeFileSync(join(dir, 'images', name, 'rootfs.ext4'), name);
  }
  return dir;
}

export class Daemon {
  constructor(dir, { set = {}, faults, env = {} } = {}) {
    this.dir = dir;
    this.ownsDir = false;
    const options = {
      'engine.engine': 'fake',
      'engine.jail': 'no',
      'network.enabled': 'no', // several daemons at a time, and maybe a real one, are on this host
      'paths.data_dir': dir,
      'paths.helper_dir': join(build, 'src/engine'),
      'server.listen': '127.0.0.1:0',
      'server.log_level': 'debug',
      ...set,
    };
    const args = Object.entries(options).flatMap(([k, v]) => ['--set', `${k}=${v}`]);
    if (faults) env = { ...env, HOLM_FAKE_FAULTS: faults };
    this.log = '';
    this.child = spawn(holmd, ['-c', '/dev/null', ...args], {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.exited = this.#end();
    this.waiters = [];
    createInterface({ input: this.child.stderr }).on('line', (line) => this.#onLine(line));
  }

  // Resolves with code and signal when the daemon has ended and all that it logged was read. That is not the
  // end of the pipe: a sanitizer's symbolizer keeps it open, and may live on.
  async #end() {
    const end = await once(this.child, 'exit');
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate); // each reads until there is nothing
    this.child.stderr.destroy();
    return end;
  }

  #onLine(line) {
    this.log += line + '\n';
    this.waiters = this.waiters.filter((w) => {
      const m = w.pattern.exec(line);
      if (m) w.done(m);
      return !m;
    });
  }

  // Resolves with the match of the first line of the log, past or future, that fits.
  logged(pattern) {
    const past = new RegExp(pattern.source, 'm').exec(this.log);
    if (past) return Promise.resolve(past);
    return new Promise((done, fail) => {
      this.waiters.push({ pattern, done });
      this.exited.then(() => fail(new Error(`holmd ended before ${pattern}:\n${this.log}`)));
    });
  }

  async ready() {
    const m = await this.logged(/listening address=(\S+)/);
    this.url = `http://${m[1]}`;
    return this;
  }

  // The base URL where the rds dialect is mounted.
  async rdsUrl() {
    return `http://${(await this.logged(/listening at (\S+) mount=rds/))[1]}`;
  }

  // Holds an answer whose body was read against the daemon's own OpenAPI document.
  async checkAnswer(method, path, res, text) {
    const { checkAnswer } = await import('../lib/openapi_check.mjs');
    this.document ??= await (await this.fetch('/openapi.json')).json();
    checkAnswer(this.document, method, path, res.status, res.headers, text);
  }

  fetch(path, options) {
    return fetch(this.url + path, options);
  }

  post(path, body, headers = {}) {
    return this.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  execute(body, headers) {
    return this.post('/api/v1/execute', body, headers);
  }

  // Starts a program that prints something first and resolves when that has come; `rest()` resolves with all
  // events, or with those that came before the connection was cut.
  async begin(body, signal) {
    const res = await this.fetch('/api/v1/execute', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify(body),
      signal,
    });
    const reader = res.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('\n')) text += (await reader.read()).value;
    const rest = async () => {
      try {
        for (let r; !(r = await reader.read()).done; ) text += r.value;
      } catch {
        text += '';
      }
      return text.split('\n').filter(Boolean).map((l) => JSON.parse(l));
    };
    return { rest };
  }

  async language(name) {
    return (await this.fetch(`/api/v1/languages/${name}`)).json();
  }

  // Asks until the language satisfies `is`; every question waits for its answer, so this is no busy loop.
  async until(name, is) {
    for (;;) {
      const l = await this.language(name);
      if (is(l)) return l;
      await new Promise((r) => setTimeout(r, 10));
    }
  }

  // Until no image is being prepared any more: then nobody else takes VMs.
  async settled() {
    for (const name of images) await this.until(name, (l) => l.status === 'ready');
  }

  kill(signal) {
    this.wasKilled = true;
    this.child.kill(signal);
    return this.exited;
  }

  // Asks it to end, if it has not ended yet; resolves with code and signal.
  end() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    return this.exited;
  }

  // The same; it has to end well, unless the test killed it, and no sanitizer may have found anything.
  async stop() {
    const end = await this.end();
    assert.doesNotMatch(this.log, /Sanitizer|: runtime error: /);
    if (!this.wasKilled) assert.deepEqual(end, [0, null], this.log.slice(-3000));
    return end;
  }
}

// What a stopped daemon must not leave in its data directory.
export function leftovers(dir) {
  return existsSync(join(dir, 'vms')) ? readdirSync(join(dir, 'vms')) : [];
}

// The processes whose standard error is a file in this VM's directory: its monitor.
export function monitorsOf(vmDir) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/fd/2`).startsWith(vmDir + '/');
    } catch {
      return false;
    }
  }).map(Number);
}

// Removes a data directory, and first the monitors that a daemon which failed has left in it.
export function dropData(dir) {
  for (const id of leftovers(dir))
    for (const pid of monitorsOf(join(dir, 'vms', id))) process.kill(pid, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
}

// Options of a daemon that has the rds dialect on a listener of its own: see rdsUrl.
export const rdsListener = { set: { 'rds.enabled': 'yes', 'rds.listen': '127.0.0.1:0', 'rds.rate_limits': 'no' } };

// Runs `body` with a daemon, which has to end well, and cleans up whatever happens.
export async function withDaemon(options, body) {
  const dir = options.dir ?? makeData();
  const d = new Daemon(dir, options);
  try {
    await d.ready();
    await body(d);
    await d.stop();
  } finally {
    await d.end();
    if (!options.dir) dropData(dir);
  }
}
