// SPDX-License-Identifier: Apache-2.0
// The daemon is killed in the middle of every operation on VMs: at each place of the fake engine, and at each
// write to the database. The next daemon must find each VM as it was before or as it is after, and nothing else.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Host } from './crash.mjs';
import { Soak } from './soak.mjs';

// What is asked of a daemon that dies. `setup` makes a VM as it is before, with `x` in its memory and /f on its disk;
// `before` and `after` are the states it may have then. `memory`: whether it keeps what it had in its memory.
const restore = ['restore.begin', 'restore.mid', 'restore.end'];
const capture = ['capture.begin', 'capture.mid', 'capture.end'];
const kill = ['kill.begin', 'kill.mid', 'kill.end'];
const boot = ['boot.begin', 'boot.mid', 'boot.end'];
const running = (h) => h.makeVm();
const as = (...steps) => async (h) => {
  const vm = await h.makeVm();
  for (const step of steps) await h.move(vm.id, step);
  return vm;
};

const operations = [
  { name: 'launch from an image', run: (h) => h.launched({ diskGiB: 1 }), makes: 1, after: 'running', places: restore },
  { name: 'launch with a larger disk', run: (h) => h.launched({ diskGiB: 2 }), makes: 1, after: 'running',
    places: ['resize.begin', 'resize.end'] },
  { name: 'launch from a snapshot', run: (h) => h.launched({ snapshotId: h.kept.id }), makes: 1, after: 'running',
    places: restore },
  { name: 'launch from the pool', set: { 'pool.vms': 1 }, run: (h) => h.launched({ image: undefined, diskGiB: 1 }), makes: 1, after: 'running',
    begin: (h) => h.poolIsFull(), places: ['restore.begin:2', 'restore.mid:2', 'restore.end:2'] },
  { name: 'pause', setup: running, run: (h, vm) => h.move(vm.id, 'pause'), before: 'running', after: 'paused',
    places: ['pause.begin', 'pause.end'] },
  { name: 'resume', setup: as('pause'), run: (h, vm) => h.move(vm.id, 'resume'), before: 'paused', after: 'running',
    places: ['resume.begin', 'resume.end'] },
  { name: 'suspend', setup: running, run: (h, vm) => h.move(vm.id, 'suspend'), before: 'running', after: 'suspended',
    places: [...capture, ...kill] },
  { name: 'suspend what is paused', setup: as('pause'), run: (h, vm) => h.move(vm.id, 'suspend'), before: 'paused',
    after: 'suspended', places: [...capture, ...kill] },
  { name: 'resume from the disk', setup: as('suspend'), run: (h, vm) => h.move(vm.id, 'resume'), before: 'suspended',
    after: 'running', places: restore },
  { name: 'stop', setup: running, run: (h, vm) => h.move(vm.id, 'stop'), before: 'running', after: 'stopped',
    places: kill, forgets: ['stopped'] },
  { name: 'turn off', setup: running, run: (h, vm) => h.move(vm.id, 'stop', { force: true }), before: 'running',
    after: 'stopped', places: kill, forgets: ['stopped'] },
  { name: 'stop what is paused', setup: as('pause'), run: (h, vm) => h.move(vm.id, 'stop'), before: 'paused',
    after: 'stopped', places: ['resume.begin', 'resume.end', ...kill], forgets: ['stopped'] },
  { name: 'start', setup: as('stop'), run: (h, vm) => h.move(vm.id, 'start'), before: 'stopped', after: 'running',
    places: boot, forgets: ['stopped', 'running'] },
  { name: 'start what was forked', setup: (h) => h.makeStoppedFork(), run: (h, vm) => h.move(vm.id, 'start'),
    before: 'stopped', after: 'running', places: boot, forgets: ['stopped', 'running'] },
  { name: 'fork', setup: running, run: (h, vm) => h.move(vm.id, 'fork', { count: 2 }), before: 'running', after: 'running',
    makesAtOnce: 2, places: [...capture, ...restore, 'restore.mid:2', 'restore.end:2'] },
  { name: 'fork what is paused', setup: as('pause'), run: (h, vm) => h.move(vm.id, 'fork', { count: 2 }), before: 'paused',
    after: 'paused', makesAtOnce: 2, places: [...capture, 'restore.mid:2'] },
  { name: 'snapshot', setup: running, run: (h, vm) => h.snapshot(vm), before: 'running', after: 'running', makesSnapshot: true,
    places: capture },
  { name: 'snapshot what is paused', setup: as('pause'), run: (h, vm) => h.snapshot(vm), before: 'paused', after: 'paused',
    makesSnapshot: true, places: capture },
  { name: 'delete a snapshot', setup: async (h) => {
    const vm = await h.makeVm();
    h.spare = await h.snapshot(vm);
    return vm;
  }, run: (h) => h.call('DELETE', `/v1/snapshots/${h.spare.id}`), before: 'running', after: 'running', losesSnapshot: true },
  { name: 'patch', setup: running, run: (h, vm) => h.call('PATCH', `/v1/vms/${vm.id}`, { name: 'other', metadata: { a: 'b' } }),
    before: 'running', after: 'running', check: (vm) =>
      assert.ok((vm.name === 'vm' && !vm.metadata.a) || (vm.name === 'other' && vm.metadata.a === 'b'), JSON.stringify(vm)) },
  { name: 'grow the disk', setup: running, run: (h, vm) => h.move(vm.id, 'resize', { diskGiB: 3 }), before: 'running',
    after: 'running', places: ['resize.begin', 'resize.end'], check: (vm, h) => h.checkDisk(vm) },
  { name: 'delete', setup: running, run: (h, vm) => h.call('DELETE', `/v1/vms/${vm.id}`), before: 'running', after: 'gone',
    places: kill },
  { name: 'delete what is suspended', setup: as('suspend'), run: (h, vm) => h.call('DELETE', `/v1/vms/${vm.id}`),
    before: 'suspended', after: 'gone' },
];

// One death: everything around it is done by a daemon without faults, so that only the operation can meet the fault.
async function dieIn(h, op, faults, storeWrite) {
  await h.steady();
  const vm = op.setup ? await op.setup(h) : null;
  if (faults || op.set) await h.restart({ faults, set: op.set });
  if (op.begin) await op.begin(h);
  if (storeWrite) h.dieAtWrite(storeWrite);
  const died = await h.dies(() => op.run(h, vm));
  h.dieAtWrite(0);
  await h.restart({});
  await h.check(op, vm, died);
  await h.empty();
  return died;
}

function cases() {
  const list = [];
  for (const op of operations) {
    for (const place of op.places ?? [])
      list.push({ name: `${op.name}: ${place}`, run: async (h) => {
        const died = await dieIn(h, op, `die=${place}`, 0);
        if (!op.begin) assert.ok(died, `${op.name} does not pass ${place}`);
      } });
    list.push({ name: `${op.name}: each write`, run: async (h) => {
      let n = 1;
      while (await dieIn(h, op, undefined, n)) n++;
      assert.ok(n > 1, `${op.name} writes nothing`);
    } });
  }
  return list;
}

async function failedCapture(h, fault) {
  for (const [state, steps] of [['running', []], ['paused', ['pause']]]) {
    await h.steady();
    const vm = await as(...steps)(h);
    await h.restart({ faults: fault });
    for (const [path, body] of [['/v1/snapshots', { vmId: vm.id }], [`/v1/vms/${vm.id}/fork`, { count: 2 }],
      [`/v1/vms/${vm.id}/suspend`, undefined]]) {
      const r = await h.request('POST', path, body);
      assert.equal(r.status, 500, path);
      assert.equal((await h.vm(vm.id)).status, state, path);
    }
    await h.check({ before: state, after: state }, vm, true);
    await h.empty();
  }
}

// A sanitized daemon is slow: some of all, so that every operation has its turn.
const sanitized = /-(asan|tsan)$/.test(process.env.HOLM_BUILD ?? '');
const all = cases().filter((_, i) => !sanitized || i % 5 === 0);
for (const fault of ['capture=enospc', 'capture=fail', 'capture.pause=fail'])
  all.push({ name: `${fault} changes nothing`, run: (h) => failedCapture(h, fault) });

// Two hosts share the cases, each runs its own one after the other; the tests only wait for them. They begin
// when the first test wants something of them.
const hosts = [new Host(), new Host()];
const quietly = (promise) => promise.catch(() => {}); // it is its test that tells
let lanes;
function begin() {
  lanes = [];
  all.forEach((c, i) => {
    const h = hosts[i % 2];
    const mayBegin = i < 2 ? h.begin() : quietly(lanes[i - 2]);
    lanes.push(mayBegin.then(() => h.afresh(() => c.run(h))));
    quietly(lanes[i]);
  });
  return lanes;
}
const done = (i) => (lanes ?? begin()).at(i);

all.forEach((c, i) => test(c.name, () => done(i)));
for (const i of [0, 1])
  test(`nothing is left on host ${i + 1}`, async () => {
    await quietly(done(i - 2));
    await hosts[(all.length + i) % 2].end();
  });
after(() => Promise.all(hosts.map((h) => h.drop())));

// Deaths at no place in particular, while several clients do what they like.
test('random deaths', async () => {
  const h = new Host();
  await h.begin();
  try {
    const soak = new Soak(h, Number(process.env.HOLM_TEST_SEED) || Date.now() % 1e9);
    for (let i = 0; i < (sanitized ? 5 : 20); i++) await soak.live();
    await h.empty();
  } finally {
    await h.end();
  }
});
