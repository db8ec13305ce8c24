// SPDX-License-Identifier: Apache-2.0
// Figures of the run-dat-sheesh API: create, run-ts against a plain deno run, archives in and out.
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Api } from '../e2e/lib/native.mjs';
import { until } from '../e2e/lib/holm.mjs';
import { Rds } from '../e2e/lib/rds.mjs';
import { median } from './stats.mjs';

const now = () => performance.now();
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const MIB = 2 ** 20;
const SET = {
  'pool.default': 0, 'pool.vms': 0, 'network.prefix': 'hbench', 'network.pool': '10.202.0.0/16', 'rds.rate_limits': 'no',
};

async function timed(work) {
  const at = now();
  const result = await work();
  return [now() - at, result];
}

// The first ones warm the emulated CPU.
async function times(count, work) {
  const took = [];
  for (let i = 0; i < count + 3; i++) {
    const [t] = await timed(work);
    if (i >= 3) took.push(t);
  }
  return took;
}

// An archive of 10 MiB at the most that does not compress, so that every byte of it is carried.
function archive(dir) {
  writeFileSync(join(dir, 'blob'), randomBytes(10 * MIB - 64 * 1024));
  execFileSync('tar', ['-czf', join(dir, 'a.tar.gz'), '-C', dir, 'blob']);
  return readFileSync(join(dir, 'a.tar.gz'));
}

// bench: {withDaemon, row, save, samples}
export function rdsFigures({ withDaemon, row, save, samples }) {
  const living = (set, work) => withDaemon({ ...SET, ...set }, ['typescript'], async (daemon) => {
    const rds = new Rds(daemon, { check: false }), api = new Api(daemon);
    try {
      return await work(daemon, rds, api);
    } finally {
      for (const { id } of await rds.call('GET', '/v1/vms')) await rds.delete(id);
      api.close();
    }
  });

  async function create() {
    const restored = [], pooled = [];
    await living({}, async (daemon, rds) => {
      await rds.delete((await rds.create()).id); // its shape's template is there now
      for (let i = 0; i < samples; i++) {
        await until(() => daemon.monitors().length === 0, 'no monitor');
        const [t, vm] = await timed(() => rds.create());
        restored.push(t);
        await rds.delete(vm.id);
      }
    });
    await living({ 'pool.vms': 1 }, async (daemon, rds) => {
      for (let i = 0; i < samples; i++) {
        await until(async () => (await daemon.metric('holm_vm_pool')) === 1, 'the pool to be full');
        const [t, vm] = await timed(() => rds.create());
        pooled.push(t);
        await rds.delete(vm.id);
      }
    });
    save('rds-create', { unit: 'ms', restored, pooled });
    row('rds: create to RUNNING, from a template, p50', ms(median(restored)), '<= 250 ms', median(restored) <= 250);
    row('rds: create to RUNNING, from the pool, p50', ms(median(pooled)), '<= 30 ms', median(pooled) <= 30);
  }

  // One after the other in turns, so that both meet the same host.
  async function runTs() {
    const plain = [], ours = [];
    await living({}, async (daemon, rds, api) => {
      const { id } = await rds.create({ memMb: 512 });
      await rds.exec(id, "echo 'console.log(2 + 2)' > plain.ts");
      const deno = { command: ['deno', 'run', 'plain.ts'], user: '1000:1000', cwd: '/workspace' };
      for (let i = 0; i < samples + 5; i++) {
        const [a] = await timed(() => api.call('POST', `/v1/vms/${id.slice(3)}/exec`, deno));
        const [b, answer] = await timed(() => rds.runTs(id, 'console.log(2 + 2)'));
        if (answer.stdout !== '4\n') throw new Error(JSON.stringify(answer));
        if (i >= 5) {
          plain.push(a);
          ours.push(b);
        }
      }
    });
    const ratio = median(ours) / median(plain);
    save('rds-run-ts', { unit: 'ms', plain, run_ts: ours });
    row('rds: run-ts of console.log(2 + 2), warm, p50', `${ms(median(ours))}, plain deno run ${ms(median(plain))}`, '<= 1.1 times', ratio <= 1.1);
  }

  async function exec() {
    let native, ours;
    await living({}, async (daemon, rds, api) => {
      const { id } = await rds.create();
      native = await times(samples, () => api.exec(id.slice(3), ['bash', '-lc', 'true'], { user: '1000:1000' }));
      ours = await times(samples, () => rds.exec(id, 'true'));
    });
    save('rds-exec', { unit: 'ms', native, exec: ours });
    row('rds: exec of true, warm, p50', `${ms(median(ours))}, the same command by the native API ${ms(median(native))}`, '(to compare with)');
  }

  async function archives() {
    const up = [], down = [];
    let before, after;
    const dir = mkdtempSync(join(process.env.HOLM_E2E_TMP, 'archive-'));
    const bytes = archive(dir);
    const rate = (took) => bytes.length / 1e6 / (median(took) / 1000);
    const resident = (daemon) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))[1]);
    try {
      await living({}, async (daemon, rds) => {
        const { id } = await rds.create({ memMb: 512 });
        const upload = () => rds.request('POST', `/v1/vms/${id}/files/upload?dest=/workspace/in`, bytes, { headers: { 'content-type': 'application/gzip' } });
        const download = () => rds.request('GET', `/v1/vms/${id}/files/download?path=/workspace/in`);
        const check = (answer, status) => {
          if (answer.status !== status) throw new Error(`${answer.status} ${answer.body}`);
        };
        check(await upload(), 204);
        check(await download(), 200);
        before = resident(daemon);
        for (const [took, work, status] of [[up, upload, 204], [down, download, 200]]) {
          for (let i = 0; i < samples; i++) {
            const [t, answer] = await timed(work);
            check(answer, status);
            took.push(t);
          }
        }
        after = resident(daemon);
      });
    } finally {
      rmSync(dir, { recursive: true });
    }
    save('rds-archives', { unit: 'ms', bytes: bytes.length, up, down, resident_kib: [before, after] });
    row('rds: 10 MiB of tar.gz up, p50', `${rate(up).toFixed(0)} MB/s`, '>= 50 MB/s', rate(up) >= 50);
    row('rds: the same down, p50', `${rate(down).toFixed(0)} MB/s`, '>= 50 MB/s', rate(down) >= 50);
    row('rds: the daemon\'s memory after all of these', `${(after / 1024).toFixed(1)} MiB, ${(before / 1024).toFixed(1)} MiB after the first`, 'flat');
  }

  return { 'rds-create': create, 'rds-run-ts': runTs, 'rds-exec': exec, 'rds-archives': archives };
}
