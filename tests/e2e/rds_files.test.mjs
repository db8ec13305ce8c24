// SPDX-License-Identifier: Apache-2.0
// Files of the rds API with a real guest: the archives and paths that tests/lib has for both engines, what only a
// real guest has (users, permissions, programs that move things about), and what a transfer costs the daemon.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test, { after, before } from 'node:test';
import { Files, fileTests } from '../lib/rds_files.mjs';
import { entry, list, tgz, tgzOfSize } from '../lib/tar.mjs';
import { Daemon } from './lib/holm.mjs';
import { Api } from './lib/native.mjs';

const MIB = 1 << 20;
let daemon, api, files;

class RealFiles extends Files {
  async sh(script, user) {
    const answer = await api.call('POST', `/v1/vms/${this.vm}/exec`, { command: ['sh', '-c', script], ...(user && { user }) });
    assert.equal(answer.exitCode, 0, answer.stderr);
    return answer.stdout;
  }

  // In one command: there are hundreds of files.
  async world() {
    return (await this.sh(`mkdir -p /workspace; { find / -maxdepth 1; find /workspace /etc /tmp /home /root -printf '%p %y %m %s %U %T@ %l\\n'; } | sort`))
      .split('\n');
  }
}

before(async () => {
  daemon = await Daemon.start({ set: { 'rds.rate_limits': 'no' } });
  await daemon.ready(['bash']);
  api = new Api(daemon, undefined, { check: false });
  const vm = await api.launch({ image: 'bash' });
  files = new RealFiles(daemon.url, api.key, vm.id);
  await files.sh('mkdir -p /workspace && chown 1000:1000 /workspace');
});
after(async () => {
  api.close();
  await daemon.deleteVms();
  await daemon.idle();
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

fileTests(() => files);

test('what is not the user\'s is not written to, though the agent is root', async () => {
  await files.sh('mkdir -p /workspace/roots && echo mine > /workspace/roots/file');
  const before = await files.world();
  for (const name of ['roots/new', 'roots/file', 'roots/dir/new']) {
    const answer = await files.upload('/workspace', tgz(entry(name, 'evil')));
    assert.deepEqual([answer.status, answer.message], [400, `${name}: Permission denied`]);
  }
  assert.equal((await files.upload('/workspace/roots/below', tgz(entry('x')))).message, 'roots/below: Permission denied');
  assert.deepEqual(await files.world(), before);
  await files.sh('chmod 600 /workspace/roots/file');
  assert.deepEqual(list((await files.download('/workspace/roots')).body).map((e) => `${e.name} ${e.uid} ${e.data}`), ['./ 0 ', './file 0 mine\n']);
  await files.sh('rm -r /workspace/roots');
});

test('a program that puts links in the way meanwhile leads nothing outside', async () => {
  await files.sh('mkdir /workspace/race && chown 1000:1000 /workspace/race');
  const before = await files.sh('ls -la --time-style=full-iso /etc | sort');
  const { execId } = await api.call('POST', `/v1/vms/${files.vm}/exec`, {
    command: ['sh', '-c', 'cd /workspace/race; while :; do mkdir -p d 2>/dev/null; mv d e; ln -s /etc d; rm d; rm -rf e; done'],
    user: '1000:1000', background: true });
  const archive = tgz(...Array.from({ length: 200 }, (_, i) => entry(`d/evil${i}`, 'evil')));
  for (let i = 0; i < 20; i++) {
    const answer = await files.upload('/workspace/race', archive);
    assert.ok([204, 400, 404, 409].includes(answer.status), `${answer.status} ${answer.message}`);
  }
  await api.call('DELETE', `/v1/vms/${files.vm}/exec/${execId}?signal=9`);
  assert.equal(await files.sh('ls -la --time-style=full-iso /etc | sort'), before);
  await files.sh('rm -rf /workspace/race');
});

test('a guest without tar, and without /workspace', async () => {
  await files.sh('mv /usr/bin/tar /usr/bin/not-tar; rm -rf /workspace');
  try {
    assert.equal((await files.download('/workspace')).status, 404);
    assert.equal((await files.upload('/workspace/a/b', tgz(entry('c', 'content')))).status, 204);
    assert.equal(await files.sh('stat -c "%n %u:%g %a" /workspace /workspace/a /workspace/a/b/c'),
      '/workspace 1000:1000 755\n/workspace/a 1000:1000 755\n/workspace/a/b/c 1000:1000 644\n');
    assert.deepEqual(list((await files.download('/workspace/a/b/c')).body).map((e) => `${e.name} ${e.data}`), ['c content']);
  } finally {
    await files.sh('mv /usr/bin/not-tar /usr/bin/tar');
  }
});

test('a full disk: 413, and the VM goes on', async () => {
  await files.sh('fallocate -l "$(($(df --output=avail -B1 / | tail -1) - 8000000))" /filler');
  const answer = await files.upload('/workspace/full', tgzOfSize('big', randomBytes(9 * MIB), 10 * MIB));
  assert.equal(answer.status, 413);
  assert.equal(answer.message, 'big: no space left in the guest');
  await files.sh('rm -r /filler /workspace/full');
  assert.equal((await files.upload('/workspace/full', tgz(entry('x', 'fits')))).status, 204);
  await files.sh('rm -r /workspace/full');
});

test('a download of what changes meanwhile, and of much', async () => {
  await files.sh('mkdir -p /workspace/much && cd /workspace/much && dd if=/dev/zero of=zeros bs=1M count=300 status=none && mkfifo fifo');
  const res = await fetch(`${files.rds}/download?path=/workspace/much`, { headers: { 'x-api-key': files.key } });
  let bytes = 0;
  for await (const part of res.body) bytes += part.length; // 300 MiB of zeros, compressed
  assert.ok(bytes > 100_000 && bytes < 20 * MIB, `${bytes}`);
  await files.sh('rm -r /workspace/much');
});

// Of the daemon, in KiB: what it has now, and the most that it ever had.
const memory = () => ['VmRSS', 'VmHWM'].map((name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))[1]));

test('the daemon\'s memory stays as it is', async () => {
  const random = tgzOfSize('random', randomBytes(10 * MIB - 4096), 10 * MIB), zeros = tgz(entry('zeros', Buffer.alloc(50 * MIB)));
  const round = async (i) => {
    assert.equal((await files.upload(`/workspace/memory`, i % 2 ? random : zeros)).status, 204);
    assert.equal((await files.download('/workspace/memory')).status, 200);
  };
  for (let i = 0; i < 4; i++) await round(i);
  const [before] = memory();
  for (let i = 0; i < 12; i++) await round(i);
  const [after, most] = memory();
  assert.ok(after < before + 8 * 1024, `${before} KiB before, ${after} KiB after`);
  console.log(`# memory: ${before} KiB before, ${after} KiB after, ${most} KiB at most`);
  await files.sh('rm -r /workspace/memory');
});
