// SPDX-License-Identifier: Apache-2.0
// Holm on real KVM, on a machine that has none: QEMU's TCG emulates a CPU with AMD's virtualization,
// Debian's kernel drives it there with kvm-amd, and Holm, installed in that machine, must choose KVM
// by measuring, and then boot, capture, restore and run with it. Slow as the emulation is, what runs
// is the code that runs on hardware.
import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Guest } from '../lib/guest.mjs';

const { HOLM_E2E_DATA: DATA, HOLM_E2E_TMP: TMP, HOLM_NESTED_DISK: DISK } = process.env;
const URL = 'http://127.0.0.1:8080';

test('in a machine with KVM', async (t) => {
  const dir = mkdtempSync(join(TMP, 'nested-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const machine = await Guest.boot({ dir, kernel: join(DATA, 'kernel'), rootfs: DISK, memoryMib: 2048,
    machine: 'q35', cpu: 'EPYC,+svm,+npt' });
  t.after(() => machine.kill());

  async function sh(script, timeoutMs = 300_000) {
    const { stdout, stderr, exit } = await machine.exec(['/bin/sh', '-c', script], { timeoutMs });
    assert.equal(exit.code, 0, `${script}\n${stdout}\n${stderr}\n${machine.console().slice(-2000)}`);
    return stdout.trim();
  }

  const doctor = async () => JSON.parse(await sh('holmd --doctor')).facts;
  const log = () => sh('tail -n 40 /root/holmd.log');

  await t.test('the machine is up, with kvm-amd', async () => {
    await sh('ip link set lo up; for m in irqbypass ccp kvm kvm-amd; do [ ! -e /modules/$m.ko ] || insmod /modules/$m.ko || true; done; test -c /dev/kvm');
  });

  await t.test('KVM is chosen by measuring it', async () => {
    const facts = await doctor();
    const kvm = facts.find((fact) => /kvm/i.test(fact.name));
    assert.equal(kvm?.state, 'yes', JSON.stringify(facts, null, 1));
    t.diagnostic(kvm.detail);
  });

  await t.test('an image is booted and captured with it', async () => {
    const at = Date.now();
    await sh('setsid holmd --set pool.default=0 --set engine.boot_timeout_s=280 >/root/holmd.log 2>&1 & until wget -qO- ' + `${URL}/health; do sleep 0.2; done`);
    const state = await sh(`for i in $(seq 1 1400); do
        wget -qO- ${URL}/api/v1/languages/bash >/tmp/l && grep -qE '"status": ?"(ready|failed)"' /tmp/l && break; sleep 0.2; done; cat /tmp/l`);
    assert.match(state, /"status": ?"ready"/, `${state}\n${await log()}`);
    assert.match(await sh("tr '\\0' ' ' </proc/$(pidof qemu-system-x86_64 | cut -d' ' -f1)/cmdline || true; cat /var/lib/holm/templates/*.json"), /kvm/);
    t.diagnostic(`ready after ${Date.now() - at} ms`);
  });

  await t.test('restored VMs run programs, each in a machine of its own', async () => {
    const run = async () => (await sh("holm run bash -c 'cat /proc/sys/kernel/random/uuid; echo $((6 * 7)); date +%s'")).split('\n');
    const first = await run(), second = await run();
    assert.equal(first[1], '42');
    assert.equal(second[1], '42');
    assert.notEqual(first[0], second[0]);
    const now = Number(await sh('date +%s'));
    assert.ok(Math.abs(now - Number(second[2])) <= 30, `${now} ${second[2]}`);
    t.diagnostic(await sh("holm run --json bash -c 'uname -a'"));
  });

  await t.test('SIGTERM ends it and leaves nothing', async () => {
    await sh('kill -TERM $(pidof holmd); while pidof holmd >/dev/null; do sleep 0.1; done; ! pidof qemu-system-x86_64 && [ -z "$(ls /var/lib/holm/vms)" ]');
  });
});
