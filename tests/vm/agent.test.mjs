// SPDX-License-Identifier: Apache-2.0
// The agent works whatever the root file system is: with systemd, with another init, with none.
import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Guest } from '../lib/guest.mjs';

const DATA = process.env.HOLM_E2E_DATA;

const ROOTS = [
  { image: 'bash', what: 'no init: the agent is process 1', init: 'agent', program: /^\/init( \(deleted\))?$/ },
  { image: 'test-busybox', what: 'busybox as init', init: 'image', program: /busybox$/ },
  { image: 'test-systemd', what: 'systemd', init: 'image', program: /\/systemd\/systemd$/, memoryMib: 384 },
];

async function boot(t, root) {
  const dir = mkdtempSync(join(process.env.HOLM_E2E_TMP, 'vm-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const guest = await Guest.boot({ dir, kernel: join(DATA, 'kernel'), memoryMib: root.memoryMib,
    rootfs: join(DATA, 'images', root.image, 'rootfs.ext4') });
  t.after(() => guest.kill());
  return guest;
}

async function out(guest, script) {
  const { stdout, stderr, exit } = await guest.exec(['/bin/sh', '-c', script]);
  assert.equal(exit.code, 0, `${script}: ${stderr}`);
  return stdout.trim();
}

for (const root of ROOTS) {
  test(`${root.image}: ${root.what}`, async (t) => {
    const guest = await boot(t, root);
    const report = await guest.ready();
    assert.equal(report.status, 200);
    assert.equal(report.protocol, 1);
    assert.equal(report.init, root.init);

    assert.match(await out(guest, 'readlink /proc/1/exe'), root.program);
    if (root.image === 'test-systemd') {
      // The agent answers long before systemd listens; from then on systemctl itself waits.
      await out(guest, `until systemctl is-system-running --wait | grep -E 'running|degraded'; do sleep 0.1; done`);
    }
    assert.equal(await out(guest, 'echo $((6 * 7))'), '42');
    const cat = await guest.exec(['/bin/cat'], { stdin: 'through\n' });
    assert.equal(cat.stdout, 'through\n');
    assert.equal((await guest.exec(['/bin/sh', '-c', 'echo e >&2; exit 5'])).exit.code, 5);

    const put = await guest.put('/tmp/a/b.txt', 'content', { uid: 1000, mode: '0600' });
    assert.equal(put.status, 201);
    assert.equal(await out(guest, 'cat /tmp/a/b.txt; stat -c "%u %a" /tmp/a/b.txt'), 'content1000 600');

    const now = BigInt(Date.now()) * 1000000n;
    const restored = await guest.request('POST', '/v1/restored',
      `{"real_time_ns": ${now}, "entropy": "${'5a'.repeat(64)}"}`);
    assert.equal(restored.status, 200, restored.body.toString());
    const seconds = Number(await out(guest, 'date +%s'));
    assert.ok(Math.abs(seconds - Date.now() / 1000) < 2, `${seconds}`);

    // Orphans are reaped by whoever is process 1.
    await out(guest, '(sleep 0 & exec true) & wait');
    assert.equal((await guest.request('POST', '/v1/sync')).status, 200);
    await guest.request('POST', '/v1/power', '{"action": "off"}');
    const [code] = await guest.exited;
    assert.equal(code, 0, 'the machine is off');
  });
}

test('a reboot ends the machine too (no boot loop)', async (t) => {
  const guest = await boot(t, ROOTS[0]);
  await guest.request('POST', '/v1/power', '{"action": "reboot"}');
  const [code] = await guest.exited;
  assert.equal(code, 0);
});
