// SPDX-License-Identifier: Apache-2.0
// Files of the rds API through the whole daemon, with a fake guest.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Files, fileTests } from '../lib/rds_files.mjs';
import { entry, tgz } from '../lib/tar.mjs';
import { Daemon, dropData, makeData } from './daemon.mjs';

let daemon, dir, files;
before(async () => {
  dir = makeData();
  daemon = await new Daemon(dir, { set: { 'rds.rate_limits': 'no' } }).ready();
  await daemon.settled();
  const key = readFileSync(join(dir, 'admin.key'), 'utf8').trim();
  const res = await daemon.fetch('/v1/vms', {
    method: 'POST', headers: { 'x-api-key': key, 'content-type': 'application/json' }, body: JSON.stringify({ image: 'bash', diskGiB: 1 }) });
  assert.equal(res.status, 201);
  files = new Files(daemon.url, key, (await res.json()).id);
});
after(async () => {
  await files?.native('DELETE', '');
  await daemon?.stop();
  dropData(dir);
});

fileTests(() => files);

// A tree as people have them, on the host.
function makeTree() {
  const top = mkdtempSync(join(tmpdir(), 'holm-tar-')), deep = join(top, 'in', 'a/'.repeat(40), `${'long name '.repeat(20)}end`);
  mkdirSync(join(top, 'in', 'empty'), { recursive: true });
  mkdirSync(join(top, 'in', 'a/'.repeat(40)), { recursive: true });
  writeFileSync(deep, 'deep');
  writeFileSync(join(top, 'in', 'Ünïcödé'), 'text\n'.repeat(1000));
  writeFileSync(join(top, 'in', 'zero'), '');
  writeFileSync(join(top, 'in', 'run'), '#!/bin/sh\n');
  chmodSync(join(top, 'in', 'run'), 0o755);
  return top;
}

test('GNU tar\'s archives are taken, and GNU tar takes ours', async () => {
  const top = makeTree();
  try {
    for (const format of ['gnu', 'oldgnu', 'pax']) {
      const gz = execFileSync('tar', ['-cz', `--format=${format}`, '-C', join(top, 'in'), '.']);
      const up = await files.upload('/workspace/gnu', gz);
      assert.deepEqual([up.status, up.message], [204, undefined], format);
      mkdirSync(join(top, format));
      execFileSync('tar', ['-xz', '-C', join(top, format)], { input: (await files.download('/workspace/gnu')).body });
      execFileSync('diff', ['-r', join(top, 'in'), join(top, format)]);
      execFileSync('test', ['-x', join(top, format, 'run')]);
      await files.remove('/workspace/gnu');
    }
    for (const format of ['v7', 'ustar']) { // which have no long names
      const gz = execFileSync('tar', ['-cz', `--format=${format}`, '-C', join(top, 'in'), './zero', './run', './empty', './Ünïcödé']);
      const up = await files.upload('/workspace/gnu', gz);
      assert.deepEqual([up.status, up.message], [204, undefined], format);
      assert.equal((await files.read('/workspace/gnu/Ünïcödé')).length, 5000);
    }
    await files.remove('/workspace/gnu');
  } finally {
    rmSync(top, { recursive: true });
  }
});

test('a full disk: 413', async () => {
  const big = tgz(entry('big', Buffer.alloc(40 << 20)));
  assert.equal((await files.upload('/workspace/one', big)).status, 204);
  const answer = await files.upload('/workspace/two', big); // a fake guest has 64 MiB
  assert.equal(answer.status, 413);
  assert.match(answer.message, /big: no space left in the guest$/);
});
