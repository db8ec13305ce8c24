// SPDX-License-Identifier: Apache-2.0
// Figures of VMs that live: launch, fork, exec, files, and the long run with checksums.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statfsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { Api } from '../e2e/lib/native.mjs';
import { DATA, until } from '../e2e/lib/holm.mjs';
import { median, percentile } from './stats.mjs';

const now = () => performance.now();
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const NET = { 'network.prefix': 'hbench', 'network.pool': '10.202.0.0/16' };
const LIVING = { 'pool.default': 0, 'pool.vms': 0, 'vms.image': 'python', ...NET };

// Waits until the daemon has nothing to do but to keep what lives.
const settled = (daemon, count) => until(() => daemon.monitors().length === count, `${count} monitors`);

async function timed(work) {
  const at = now();
  const result = await work();
  return [now() - at, result];
}

// Makes this much of a guest's memory differ from its template.
async function dirty(api, id, mib) {
  await api.exec(id, `head -c ${mib}m /dev/urandom > /dev/shm/dirty`);
}

// bench: {withDaemon, row, save, samples}
export function vmFigures({ withDaemon, row, save, samples }) {
  const living = (set, work) => withDaemon({ ...LIVING, ...set }, ['python'], async (daemon) => {
    const api = new Api(daemon, undefined, { check: false });
    try {
      return await work(daemon, api);
    } finally {
      for (const vm of await api.call('GET', '/v1/vms')) await api.delete(vm.id);
      for (const s of await api.call('GET', '/v1/snapshots')) await api.call('DELETE', `/v1/snapshots/${s.id}`);
      api.close();
    }
  });

  async function launch() {
    const took = [], pooled = [];
    await living({}, async (daemon, api) => {
      const vm = await api.launch();
      const { id } = await api.call('POST', '/v1/snapshots', { vmId: vm.id });
      await api.delete(vm.id);
      for (let i = 0; i < samples; i++) {
        await settled(daemon, 0);
        const [t, made] = await timed(() => api.call('POST', '/v1/vms', { snapshotId: id }));
        if (made.status !== 'running') throw new Error(`launched ${made.status}`);
        took.push(t);
        await api.delete(made.id);
      }
    });
    await living({ 'pool.vms': 1 }, async (daemon, api) => {
      for (let i = 0; i < samples; i++) {
        await settled(daemon, 1);
        const [t, made] = await timed(() => api.call('POST', '/v1/vms', {}));
        pooled.push(t);
        await api.delete(made.id);
        await until(async () => (await daemon.metric('holm_vm_pool')) === 1, 'the pool to be full');
      }
    });
    save('launch', { unit: 'ms', snapshot: took, pool: pooled });
    row('launch from a snapshot to running, p50', ms(median(took)), '<= 150 ms', median(took) <= 150);
    row('launch from the pool, p50', ms(median(pooled)), '<= 20 ms', median(pooled) <= 20);
  }

  async function fork() {
    const pauses = {}, ready = [], sixteen = [];
    await living({}, async (daemon, api) => {
      for (const mib of [4, 64]) {
        pauses[mib] = [];
        for (let i = 0; i < samples; i++) {
          const vm = await api.launch();
          await dirty(api, vm.id, mib);
          const f = await api.fork(vm.id, { count: 1 });
          pauses[mib].push(f.pauseMs);
          if (mib === 4) ready.push(f.forks[0].readyMs);
          await api.delete(vm.id);
          await api.delete(f.forks[0].id);
          await settled(daemon, 0);
        }
      }
      for (let i = 0; i < 5; i++) {
        const vm = await api.launch();
        const [t, f] = await timed(() => api.fork(vm.id, { count: 16 }));
        sixteen.push(t);
        await Promise.all([vm, ...f.forks].map((v) => api.delete(v.id)));
        await settled(daemon, 0);
      }
    });
    save('fork', { unit: 'ms', pause_4_mib: pauses[4], pause_64_mib: pauses[64], ready, sixteen });
    row('pause of the source on fork, 64 MiB dirty, p50', ms(median(pauses[64])), '<= 60 ms', median(pauses[64]) <= 60);
    row('pause of the source on fork, 4 MiB dirty, p50', ms(median(pauses[4])), '<= 25 ms', median(pauses[4]) <= 25);
    row('fork to child ready, p50', ms(median(ready)), '<= 350 ms', median(ready) <= 350);
    row('16 children of one VM, all ready, p50 of 5', ms(median(sixteen)), '<= 4 s', median(sixteen) <= 4000);
  }

  async function execs(daemon, api, count) {
    const vm = await api.launch({ image: 'bash' });
    const took = [];
    for (let i = 0; i < count + 10; i++) {
      const [t] = await timed(() => api.exec(vm.id, ['/bin/true']));
      if (i >= 10) took.push(t); // the first ones warm the emulated CPU
    }
    return took;
  }

  async function exec() {
    const real = await living({}, (daemon, api) => execs(daemon, api, 2 * samples));
    const fakeSet = { 'engine.engine': 'fake', 'engine.jail': 'no', 'paths.helper_dir': process.env.HOLM_BENCH_HELPERS };
    const fake = await living(fakeSet, (daemon, api) => execs(daemon, api, 4 * samples));
    save('exec', { unit: 'ms', real, fake });
    row('exec of /bin/true over HTTP, warm, p50', `${ms(median(real))} (p95 ${ms(percentile(real, 95))})`, '<= 40 ms', median(real) <= 40);
    row('the same on a fake guest: Holm\'s own share, p50', ms(median(fake)), '<= 2 ms', median(fake) <= 2);
  }

  // The longest gap that a program in the guest sees between two looks at its clock, a thousand a
  // second: without a snapshot, and with five.
  async function ticker() {
    const code = `import time, sys
worst = 0; last = time.monotonic(); end = last + 6
while last < end:
    time.sleep(0.001)
    now = time.monotonic(); worst = max(worst, now - last); last = now
print(worst * 1000)`;
    await living({}, async (daemon, api) => {
      const vm = await api.launch();
      const run = () => api.exec(vm.id, ['python3', '-c', code]);
      await run();
      const quiet = Number(await run());
      const pauses = [];
      const disturbed = run();
      for (let i = 0; i < 5; i++) {
        const s = await api.call('POST', '/v1/snapshots', { vmId: vm.id });
        pauses.push(s.pauseMs);
        await api.call('DELETE', `/v1/snapshots/${s.id}`);
      }
      const gap = Number(await disturbed), pause = Math.max(...pauses);
      save('ticker', { unit: 'ms', quiet, gap, pauses });
      row('worst gap of a 1 kHz ticker over 5 snapshots', `${ms(gap)}; undisturbed ${ms(quiet)}, longest pause ${ms(pause)}`,
        '<= pause + undisturbed', gap <= pause + quiet);
    });
  }

  // Zeros would be cheap for whoever detects them; noise again and again is not.
  function* noise(bytes) {
    const block = randomBytes(1 << 20);
    for (let i = 0; i < bytes; i += block.length) {
      block.writeUInt32LE(i >>> 10, 0);
      yield Buffer.from(block);
    }
  }

  const rss = (pid) => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

  async function files() {
    const size = 1 << 30;
    await living({}, async (daemon, api) => {
      const vm = await api.launch({ diskGiB: 4 });
      const path = `/v1/vms/${vm.id}/files?path=/root/big`;
      const before = rss(daemon.pid);
      const up = createHash('sha256');
      function* hashed() { for (const b of noise(size)) { up.update(b); yield b; } }
      const [inMs] = await timed(() => api.call('PUT', path, Readable.from(hashed()), { 'content-type': 'application/octet-stream' }));
      const down = createHash('sha256');
      const [outMs] = await timed(async () => {
        for await (const part of await api.open('GET', path)) down.update(part);
      });
      if (up.digest('hex') !== down.digest('hex')) throw new Error('what came out is not what went in');
      const grown = rss(daemon.pid) - before;
      const rate = (t) => size / 1e6 / (t / 1000);
      save('files', { unit: 'MB/s', in: rate(inMs), out: rate(outMs), daemon_grown_mib: grown });
      row('1 GiB file in', `${rate(inMs).toFixed(0)} MB/s`, '>= 100 MB/s', rate(inMs) >= 100);
      row('1 GiB file out', `${rate(outMs).toFixed(0)} MB/s`, '>= 100 MB/s', rate(outMs) >= 100);
      row('daemon memory meanwhile (peak, grown by)', `${grown.toFixed(0)} MiB`, 'flat: <= 64 MiB', grown <= 64);
    });
  }

  // Cycles of pause, resume, snapshot, launch from it, fork; memory (/dev/shm) and disk are compared
  // with what was written at the beginning.
  async function cycles() {
    const count = Number(process.env.HOLM_BENCH_CYCLES ?? 1000);
    await living({ 'vms.image': 'bash' }, async (daemon, api) => {
      const first = await api.launch();
      let vm = first.id;
      await api.exec(vm, 'head -c 4m /dev/urandom > /dev/shm/m; head -c 4m /dev/urandom > /root/d; sync');
      const sums = await api.exec(vm, 'cat /dev/shm/m /root/d | md5sum');
      const free = statfsSync(DATA).bavail;
      let differences = 0;
      const at = now();
      for (let i = 0; i < count; i++) {
        await api.call('POST', `/v1/vms/${vm}/pause`);
        await api.call('POST', `/v1/vms/${vm}/resume`);
        let next;
        if (i % 2) {
          const s = await api.call('POST', '/v1/snapshots', { vmId: vm });
          next = (await api.launch({ snapshotId: s.id })).id;
          await api.call('DELETE', `/v1/snapshots/${s.id}`);
        } else {
          next = (await api.fork(vm, { count: 1 })).forks[0].id;
        }
        await api.delete(vm);
        vm = next;
        if (await api.exec(vm, 'cat /dev/shm/m /root/d | md5sum') !== sums) differences++;
        if (i % 100 === 99) console.log(`  ${i + 1} cycles, ${((now() - at) / 1000).toFixed(0)} s`);
      }
      const lost = (free - statfsSync(DATA).bavail) * statfsSync(DATA).bsize / 2 ** 20;
      const left = daemon.leftovers().length;
      await api.delete(vm);
      await settled(daemon, 0);
      const leaked = daemon.vms().length + daemon.monitors().length;
      save('cycles', { unit: 'count', cycles: count, differences, leaked, disk_mib: lost, left });
      row(`${count} cycles of pause, resume, snapshot, launch, fork`, `${differences} differences, ${leaked} leaked, disk ${lost.toFixed(0)} MiB`,
        'no difference, nothing leaked', differences === 0 && leaked === 0);
    });
  }

  return { launch, fork, ticker, exec, files, cycles };
}
