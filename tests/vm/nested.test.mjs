// SPDX-License-Identifier: Apache-2.0
// Holm on real KVM, on a machine that has none: QEMU's TCG emulates a CPU with AMD's virtualization,
// Debian's kernel drives it there with kvm-amd, and Holm, installed in that machine, must choose KVM
// by measuring, and then boot, capture, restore and run with it. Slow as the emulation is, what runs
// is the code that runs on hardware.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Guest } from '../lib/guest.mjs';

const { HOLM_E2E_DATA: DATA, HOLM_E2E_TMP: TMP, HOLM_NESTED_DISK: DISK } = process.env;
const URL = 'http://127.0.0.1:8080';

let dir;
let machine;
before(async () => {
  dir = mkdtempSync(join(TMP, 'nested-'));
  machine = await Guest.boot({ dir, kernel: join(DATA, 'kernel'), rootfs: DISK, memoryMib: 2048,
    machine: 'q35', cpu: 'EPYC,+svm,+npt' });
});
after(async () => {
  await machine?.kill();
  rmSync(dir, { recursive: true });
});

async function sh(script, timeoutMs = 300_000) {
  const { stdout, stderr, exit } = await machine.exec(['/bin/sh', '-c', script], { timeoutMs });
  assert.equal(exit.code, 0, `${script}\n${stdout}\n${stderr}\n${machine.console().slice(-2000)}`);
  return stdout.trim();
}

const log = () => sh('tail -n 40 /root/holmd.log');

test('the machine is up, with kvm-amd', async () => {
  await sh('ip link set lo up; for m in irqbypass ccp kvm kvm-amd; do [ ! -e /modules/$m.ko ] || insmod /modules/$m.ko || true; done; test -c /dev/kvm');
});

test('KVM is chosen by measuring it', async (t) => {
  const facts = JSON.parse(await sh('holmd --doctor')).facts;
  const accelerator = facts.find((fact) => fact.name === 'accelerator');
  assert.equal(accelerator?.state, 'yes', JSON.stringify(facts, null, 1));
  assert.match(accelerator.detail, /^KVM/);
  t.diagnostic(accelerator.detail);
});

test('an image is booted and captured with it', async (t) => {
  const at = Date.now();
  await sh('setsid holmd --set pool.default=0 --set engine.boot_timeout_s=280 >/root/holmd.log 2>&1 & until wget -qO- ' + `${URL}/health; do sleep 0.2; done`);
  const state = await sh(`for i in $(seq 1 1400); do
      wget -qO- ${URL}/api/v1/languages/bash >/tmp/l && grep -qE '"status": ?"(ready|failed)"' /tmp/l && break; sleep 0.2; done; cat /tmp/l`);
  assert.match(state, /"status": ?"ready"/, `${state}\n${await log()}`);
  assert.match(await sh('cat /var/lib/holm/templates/bash.bash.json'), /pc\/kvm\/host/);
  t.diagnostic(`ready after ${Date.now() - at} ms`);
});

test('restored VMs run programs, each in a machine of its own', async (t) => {
  const run = async () => (await sh("holm run bash -c 'cat /proc/sys/kernel/random/uuid; echo $((6 * 7)); date +%s'")).split('\n');
  const first = await run(), second = await run();
  assert.equal(first[1], '42');
  assert.equal(second[1], '42');
  assert.notEqual(first[0], second[0]);
  const now = Number(await sh('date +%s'));
  assert.ok(Math.abs(now - Number(second[2])) <= 30, `${now} ${second[2]}`);
  t.diagnostic(await sh("holm run --json bash -c 'uname -a'"));
});

test('SIGTERM ends it and leaves nothing', async () => {
  await sh('kill -TERM $(pidof holmd); while pidof holmd >/dev/null; do sleep 0.1; done; ! pidof qemu-system-x86_64 && [ -z "$(ls /var/lib/holm/vms)" ]');
});
