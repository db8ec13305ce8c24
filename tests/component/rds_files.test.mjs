// SPDX-License-Identifier: Apache-2.0
// Files of the rds API through the whole daemon, with a fake guest.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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

test('a full disk: 413', async () => {
  const big = tgz(entry('big', Buffer.alloc(40 << 20)));
  assert.equal((await files.upload('/workspace/one', big)).status, 204);
  const answer = await files.upload('/workspace/two', big); // a fake guest has 64 MiB
  assert.equal(answer.status, 413);
  assert.match(answer.message, /big: no space left in the guest$/);
});
