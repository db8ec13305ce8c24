// SPDX-License-Identifier: Apache-2.0
// Clients that do with VMs what they like until the daemon dies, and a model of what must be there then.

import assert from 'node:assert/strict';

const CLIENTS = 3;
const VMS_MAX = 6;

// From each state: what may be asked for, and the state after it.
const moves = {
  running: { pause: 'paused', suspend: 'suspended', stop: 'stopped', fork: 'running', snapshot: 'running', delete: 'gone' },
  paused: { resume: 'running', suspend: 'suspended', stop: 'stopped', fork: 'paused', snapshot: 'paused', delete: 'gone' },
  suspended: { resume: 'running', delete: 'gone' },
  stopped: { start: 'running', delete: 'gone' },
};

export class Soak {
  constructor(host, seed) {
    this.h = host;
    this.seed = seed;
    this.vms = new Map(); // by id: {id, value, status, memory, pending}
    this.snapshots = new Map(); // by id: the value in it
  }

  random(n) {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.seed / 2 ** 32) * n);
  }

  pick(list) {
    return list[this.random(list.length)];
  }

  // One daemon's life: until it dies at some write, and what the next one finds.
  async live() {
    const seed = this.seed;
    try {
      this.h.dieAtWrite(1 + this.random(40));
      await Promise.all(Array.from({ length: CLIENTS }, () => this.client()));
      this.h.dieAtWrite(0);
      await this.h.restart({});
      await this.check();
    } catch (e) {
      e.message += `\nHOLM_TEST_SEED=${seed}\n${this.h.daemon.log.slice(-6000)}`;
      throw e;
    }
  }

  async client() {
    while (!(await this.h.dies(() => this.doSomething())));
  }

  async doSomething() {
    const idle = [...this.vms.values()].filter((v) => !v.pending);
    if (this.vms.size < VMS_MAX && (!idle.length || !this.random(3))) return this.launch();
    if (!idle.length) return this.h.vms();
    const vm = this.pick(idle);
    return this.move(vm, this.vms.size > VMS_MAX ? 'delete' : this.pick(Object.keys(moves[vm.status])));
  }

  add(vm, value, memory = true) {
    this.vms.set(vm.id, { id: vm.id, value, memory, status: vm.status });
  }

  async launch() {
    const snapshotId = this.snapshots.size && this.random(2) ? this.pick([...this.snapshots.keys()]) : undefined;
    if (!snapshotId) return this.h.makeVm().then((vm) => this.add(vm, vm.value));
    const vm = await this.h.launch({ snapshotId });
    return this.add(vm, this.snapshots.get(snapshotId));
  }

  async move(vm, what) {
    vm.pending = what;
    if (what === 'delete') {
      await this.h.call('DELETE', `/v1/vms/${vm.id}`);
      this.vms.delete(vm.id);
      return;
    }
    if (what === 'snapshot') {
      const s = await this.h.snapshot(vm);
      if (vm.memory) this.snapshots.set(s.id, vm.value);
      else await this.h.call('DELETE', `/v1/snapshots/${s.id}`);
    } else if (what === 'fork') {
      const { forks } = await this.h.move(vm.id, 'fork', { count: 2 });
      for (const f of forks) this.add(f.vm, vm.value, vm.memory);
    } else {
      await this.h.move(vm.id, what, what === 'stop' ? { force: true } : undefined);
      if (what === 'stop') vm.memory = false;
      vm.status = moves[vm.status][what];
    }
    vm.pending = undefined;
  }

  // What was answered is so; what was not has happened or has not; what nobody was told of goes.
  async check() {
    const { vms, snapshots } = await this.h.checkHost();
    await this.h.checkRock();
    for (const vm of this.vms.values()) {
      const now = vms.find((v) => v.id === vm.id);
      const after = vm.pending ? moves[vm.status][vm.pending] : vm.status;
      assert.ok([vm.status, after].includes(now?.status ?? 'gone'), `${vm.id} ${vm.status} ${vm.pending}: ${now?.status}`);
      if (!now) {
        this.vms.delete(vm.id);
        continue;
      }
      const wasOff = now.status === 'stopped' || (vm.pending === 'start' && now.status === 'running');
      await this.h.checkValues(now, vm.value, vm.memory && !wasOff);
      Object.assign(vm, { status: 'running', memory: vm.memory && !wasOff, pending: undefined });
    }
    for (const vm of vms)
      if (!this.vms.has(vm.id) && vm.id !== this.h.rock.id) await this.h.call('DELETE', `/v1/vms/${vm.id}`);
    for (const id of this.snapshots.keys()) assert.ok(snapshots.some((s) => s.id === id), `snapshot ${id} is gone`);
  }
}
