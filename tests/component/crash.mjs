// SPDX-License-Identifier: Apache-2.0
// For tests of crashes: one data directory, the daemons that follow one another on it, and what must be true of
// it after each.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, dropData, makeData } from './daemon.mjs';

const GIB = 2 ** 30;
const COMPUTES = ['provisioning', 'running', 'paused'];
const HAS_MONITOR = ['running', 'paused'];
const HAS_DIR = ['running', 'paused', 'stopped'];

// The host's name of what the API calls by a UUID (src/api/uuid.c).
export function idOf(uuid) {
  const n = BigInt('0x' + uuid.replaceAll('-', ''));
  const high = n >> 64n, low = n & (2n ** 64n - 1n);
  const id = (high >> 16n << 56n) | ((high & 0xfffn) << 44n) | (low >> 18n & (2n ** 44n - 1n));
  return id.toString(36).padStart(20, '0');
}

export class Host {
  async begin() {
    this.dir = makeData();
    for (const other of ['c', 'nodejs', 'perl', 'python', 'typescript'])
      rmSync(join(this.dir, 'images', other), { recursive: true });
    this.values = 0;
    await this.restart({});
    await this.daemon.until('bash', (l) => l.status === 'ready');
    this.rock = await this.makeVm('rock');
    this.kept = await this.snapshot(this.rock);
  }

  // All is removed through the API first: nothing may be left then.
  async end() {
    try {
      if (!this.failed && this.kept) {
        await this.steady();
        for (const s of await this.call('GET', '/v1/snapshots')) await this.call('DELETE', `/v1/snapshots/${s.id}`);
        for (const vm of await this.vms()) await this.call('DELETE', `/v1/vms/${vm.id}`);
        await this.checkHost();
      }
    } finally {
      await this.drop();
    }
  }

  async drop() {
    await this.daemon?.kill('SIGKILL');
    if (this.dir) dropData(this.dir);
    this.daemon = this.dir = undefined;
  }

  // A case that fails takes its host with it, and nothing else.
  async afresh(run) {
    if (this.failed) {
      await this.daemon.kill('SIGKILL');
      dropData(this.dir);
      await this.begin();
    }
    this.failed = true;
    await run();
    this.failed = false;
  }

  // --- daemons ---

  async restart({ faults, set = {} }) {
    await this.daemon?.kill('SIGKILL');
    this.daemon = new Daemon(this.dir, {
      faults, set: { 'pool.vms': 0, 'pool.default': 0, 'vms.image': 'bash', ...set }, env: { HOLM_STORE_DIE: this.dieFile },
    });
    this.isSteady = !faults && !Object.keys(set).length;
    await this.daemon.ready();
    this.key = readFileSync(join(this.dir, 'admin.key'), 'utf8').trim();
  }

  async steady() {
    if (!this.isSteady || this.isDead()) await this.restart({});
  }

  isDead() {
    return this.daemon.child.exitCode !== null || this.daemon.child.signalCode !== null;
  }

  get dieFile() {
    return join(this.dir, 'die');
  }

  // 0: at none.
  dieAtWrite(n) {
    if (n) writeFileSync(this.dieFile, `${n}`);
    else rmSync(this.dieFile, { force: true });
  }

  // Whether the daemon answers `run`, or dies.
  async dies(run) {
    try {
      await run();
      return false;
    } catch (e) {
      if (e instanceof assert.AssertionError) throw e;
      await this.daemon.exited; // a fetch fails for no other reason
      assert.equal(this.daemon.child.signalCode, 'SIGKILL', this.daemon.log);
      return true;
    }
  }

  async poolIsFull() {
    await this.daemon.logged(/restore vm=.* took|vm=\S+ image=bash ready_ms/);
  }

  // --- calls ---

  async request(method, path, body) {
    const res = await this.daemon.fetch(path, {
      method,
      headers: { 'x-api-key': this.key, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    return { status: res.status, json: await res.json() };
  }

  async call(method, path, body) {
    const r = await this.request(method, path, body);
    assert.ok(r.status < 300, `${method} ${path}: ${r.status} ${JSON.stringify(r.json)}\n${this.daemon.log}`);
    return r.json;
  }

  vms() {
    return this.call('GET', '/v1/vms');
  }

  vm(id) {
    return this.call('GET', `/v1/vms/${id}`);
  }

  move(id, what, body) {
    return this.call('POST', `/v1/vms/${id}/${what}`, body);
  }

  snapshot(vm) {
    return this.call('POST', '/v1/snapshots', { vmId: vm.id });
  }

  launch(body) {
    return this.call('POST', '/v1/vms', { image: body.snapshotId ? undefined : 'bash', ...body });
  }

  async script(id, text) {
    const r = await this.move(id, 'exec', { command: ['sh', '-c', text] });
    assert.equal(r.exitCode, 0, r.stderr);
    return r.stdout.trimEnd();
  }

  // --- VMs ---

  async running(id) {
    for (;;) {
      const vm = await this.vm(id);
      if (vm.status === 'running') return vm;
      assert.equal(vm.status, 'provisioning', `${vm.detail}\n${this.daemon.log}`);
      await new Promise((r) => setTimeout(r, 10));
    }
  }

  // A launch may be answered before the VM runs.
  async launched(body) {
    return this.running((await this.launch(body)).id);
  }

  async makeVm(name = 'vm') {
    const vm = await this.launched({ name, diskGiB: 1 });
    const value = `value-${++this.values}`;
    await this.script(vm.id, `set x ${value}\nput /f ${value}`);
    return Object.assign(vm, { value });
  }

  async makeStoppedFork() {
    const source = await this.makeVm();
    const { forks: [{ vm }] } = await this.move(source.id, 'fork', { count: 1, name: 'vm' });
    await this.call('DELETE', `/v1/vms/${source.id}`);
    await this.move(vm.id, 'stop');
    return Object.assign(vm, { value: source.value });
  }

  // What it holds. Wakes it.
  async checkValues(vm, value, keepsMemory) {
    const how = { paused: 'resume', suspended: 'resume', stopped: 'start' }[vm.status];
    if (how) await this.move(vm.id, how);
    await this.running(vm.id);
    assert.equal(await this.script(vm.id, 'file /f'), value ?? 'no file /f');
    assert.equal(await this.script(vm.id, 'get x'), keepsMemory && value ? value : 'not set: x');
  }

  async checkDisk(vm) {
    if (vm.status === 'running')
      assert.match(await this.script(vm.id, 'disk'), new RegExp(`^${vm.diskGiB * GIB} ${vm.diskGiB * GIB}\\b`));
  }

  // --- what must be true ---

  entries(kind) {
    return readdirSync(join(this.dir, kind)).sort();
  }

  monitors() {
    const found = readdirSync('/proc').flatMap((pid) => {
      try {
        const m = /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/fd/2`).match(`^${this.dir}/vms/([^/]+)/`);
        return m ? [m[1]] : [];
      } catch {
        return [];
      }
    });
    return found.sort();
  }

  // Everything on the host belongs to a VM or a snapshot of the account, and is charged to it.
  async checkHost() {
    for (const vm of await this.vms()) if (vm.status === 'provisioning') await this.running(vm.id);
    const vms = await this.vms(), snapshots = await this.call('GET', '/v1/snapshots');
    const ids = (states) => vms.filter((v) => states.includes(v.status)).map((v) => idOf(v.id)).sort();
    const sum = (states, of) => vms.filter((v) => states.includes(v.status)).reduce((n, v) => n + of(v), 0);
    const all = [...HAS_DIR, 'suspended'];
    assert.deepEqual(vms.filter((v) => !all.includes(v.status)), [], this.daemon.log);
    assert.deepEqual(this.entries('vms'), ids(HAS_DIR));
    assert.deepEqual(this.entries('suspended'), ids(['suspended']));
    assert.deepEqual(this.entries('snapshots'), snapshots.map((s) => idOf(s.id)).sort());
    assert.deepEqual(this.entries('forks'), []);
    assert.deepEqual(this.entries('consoles').filter((f) => !ids(all).includes(f.split('.')[0])), []);
    assert.deepEqual(this.monitors(), ids(HAS_MONITOR));
    for (const s of snapshots) assert.equal(s.status, 'ready');
    const { usage } = await this.call('GET', '/v1/org/quotas');
    assert.deepEqual(usage, {
      vcpu: sum(COMPUTES, (v) => v.cpu), memoryMiB: sum(COMPUTES, (v) => v.memoryMiB),
      diskGiB: sum(all, (v) => v.diskGiB), snapshotCount: snapshots.length,
    });
    return { vms, snapshots };
  }

  // What was there before the operation and has nothing to do with it.
  async checkRock() {
    const rock = await this.vm(this.rock.id);
    assert.equal(rock.status, 'running');
    await this.checkValues(rock, this.rock.value, true);
  }

  // `vm` (NULL: none) is as before or as after, what the operation makes is there whole or not at all.
  async check(op, vm, died) {
    const { vms, snapshots } = await this.checkHost();
    await this.checkRock();
    const made = vms.filter((v) => v.id !== vm?.id && v.id !== this.rock.id);
    const most = op.makes ?? op.makesAtOnce ?? 0;
    assert.ok(died || made.length === most, `${made.length} made`);
    assert.ok(op.makesAtOnce ? [0, most].includes(made.length) : made.length <= most, JSON.stringify(made));
    for (const m of made) {
      assert.equal(m.status, 'running');
      const value = op.makesAtOnce ? vm.value : m.snapshotId ? this.rock.value : undefined;
      await this.checkDisk(m);
      await this.checkValues(m, value, true);
    }
    if (vm) await this.checkOne(op, vm, vms.find((v) => v.id === vm.id), died);
    await this.checkSnapshots(op, vm, snapshots.filter((s) => s.id !== this.kept.id), died);
  }

  async checkOne(op, vm, now, died) {
    if (!now) {
      assert.equal(op.after, 'gone');
      return;
    }
    assert.ok((died && now.status === op.before) || now.status === op.after, `is ${now.status}: ${this.daemon.log}`);
    if (op.check) await op.check(now, this);
    await this.checkValues(now, vm.value, !op.forgets?.includes(now.status));
  }

  async checkSnapshots(op, vm, others, died) {
    if (op.makesSnapshot) assert.ok(others.length === 1 || (died && !others.length));
    else if (op.losesSnapshot) assert.ok(others.length === 0 || (died && others.length === 1));
    else assert.deepEqual(others, []);
    for (const s of others) {
      const clone = await this.running((await this.launch({ snapshotId: s.id })).id);
      await this.checkValues(clone, vm.value, true);
    }
  }

  // Only the rock and its snapshot stay.
  async empty() {
    for (const vm of await this.vms()) if (vm.id !== this.rock.id) await this.call('DELETE', `/v1/vms/${vm.id}`);
    for (const s of await this.call('GET', '/v1/snapshots'))
      if (s.id !== this.kept.id) await this.call('DELETE', `/v1/snapshots/${s.id}`);
    const { vms, snapshots } = await this.checkHost();
    assert.equal(vms.length, 1);
    assert.equal(snapshots.length, 1);
  }
}
