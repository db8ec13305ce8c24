// SPDX-License-Identifier: Apache-2.0
// What one program leaves no other finds; clones are different machines at the right time; and the
// template that all come from is never written.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, readFileSync, readdirSync, statSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, DATA } from './lib/holm.mjs';

let daemon;
before(async () => {
  daemon = await Daemon.start({ set: { 'pool.bash': 2 } });
  await daemon.ready();
});
after(async () => {
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(daemon.leftovers(), []);
});

test('a secret of one run is in no other: not on disk, not in memory, not in a process', async () => {
  const secret = `s${randomBytes(12).toString('hex')}`;
  const first = await daemon.execute('bash', `echo ${secret} >/work/secret; echo ${secret} >/tmp/secret; sync
    exec -a ${secret} sleep 250 & cat /work/secret`);
  assert.equal(first.stdout, `${secret}\n`);
  // Searched for in two parts, so that the searching program does not find itself.
  const find = `a=${secret.slice(0, 12)}; b=${secret.slice(12)}
    grep -rlsF "$a$b" /work /tmp /home /var/tmp /dev/shm /run 2>/dev/null
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | s="$a$b" awk 'index($0, ENVIRON["s"]) { n++ } END { print n + 0 }'
    ls /work /tmp`;
  for (let i = 0; i < 4; i++) {
    const answer = await daemon.execute('bash', find, { timeout: 60 });
    assert.ok(!answer.stdout.includes(secret), answer.stdout);
    assert.match(answer.stdout, /^0$/m);
    assert.doesNotMatch(answer.stdout, /^secret$|\/secret/m);
  }
});

test('files of the host are not there', async () => {
  const mark = join('/etc', `holm-e2e-${randomBytes(6).toString('hex')}`);
  writeFileSync(mark, 'of the host');
  try {
    const answer = await daemon.execute('bash', `ls -d ${mark} ${DATA} 2>&1; cat /proc/mounts; hostname`);
    assert.equal((answer.stdout.match(/No such file or directory/g) ?? []).length, 2, answer.stdout);
    assert.doesNotMatch(answer.stdout, /9p|virtiofs/);
    assert.match(answer.stdout, /^holm$/m);
  } finally {
    rmSync(mark);
  }
});

test('clones differ in random numbers, uuids and boot ids', async () => {
  const code = `import os, random, uuid
print(os.urandom(16).hex(), uuid.uuid4(), random.getrandbits(64), sep="\\n")
print(open("/proc/sys/kernel/random/boot_id").read() and open("/proc/sys/kernel/random/uuid").read().strip())`;
  const answers = await Promise.all(Array.from({ length: 4 }, () => daemon.execute('python', code, { timeout: 60 })));
  const lines = answers.flatMap((answer) => answer.stdout.trim().split('\n'));
  assert.equal(lines.length, 16);
  assert.equal(new Set(lines).size, 16, lines.join(' '));
});

test('a pooled clone has the right time, however long it waited', async () => {
  await daemon.pooled('bash', 2);
  for (let i = 0; i < 3; i++) {
    const before = Date.now();
    const answer = await daemon.execute('bash', 'date +%s%3N');
    const now = Number(answer.stdout);
    assert.ok(now > before - 2000 && now < Date.now() + 2000, `${now} is not within 2 s of ${before}`);
  }
});

// All files of the templates that the programs below come from.
function templateFiles() {
  return ['bash.bash', 'python.python'].flatMap((name) => {
    const manifest = JSON.parse(readFileSync(join(DATA, 'templates', `${name}.json`), 'utf8'));
    const dir = join(DATA, 'templates', manifest.template);
    return readdirSync(dir).map((file) => join(dir, file)).filter((path) => statSync(path).isFile());
  });
}

async function digest(path) {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(part);
  return hash.digest('hex');
}

async function digests() {
  const result = {};
  for (const path of templateFiles()) result[path] = await digest(path);
  return result;
}

test('templates are byte for byte the same after many clones', async () => {
  const before = await digests();
  assert.ok(Object.keys(before).length >= 4, Object.keys(before).join(' '));
  const dirty = `x = bytearray(64 << 20)
for i in range(0, len(x), 4096): x[i] = i & 255
open("/work/file", "wb").write(x); import os; os.sync()`;
  for (let round = 0; round < 3; round++) {
    await Promise.all([daemon.execute('python', dirty, { timeout: 120 }), daemon.execute('python', dirty, { timeout: 120 }),
      daemon.execute('bash', 'dd if=/dev/urandom of=/work/r bs=1M count=32 status=none; sync', { timeout: 120 })]);
  }
  assert.deepEqual(await digests(), before);
});

test('images are not written either', async () => {
  const image = join(DATA, 'images/bash/rootfs.ext4');
  const before = statSync(image);
  await daemon.execute('bash', 'echo x >/work/x; sync');
  const now = statSync(image);
  assert.equal(now.mtimeMs, before.mtimeMs);
  assert.equal(now.mode & 0o222, 0);
});
