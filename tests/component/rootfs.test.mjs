// SPDX-License-Identifier: Apache-2.0
// Root file systems and snapshots of languages on the fake engine, with a builder that is a script of this test's.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Daemon, dropData, makeData } from './daemon.mjs';

// It has begun when it reads from the FIFO, and ends as what it reads there says.
const builder = `#!/bin/bash
if [[ $1 == --list ]]; then printf '%s default=yes x\\n' python ruby; exit; fi
name=\${!#} data=$2
read -r end <"$(dirname "$0")/end"
if [[ $end != well ]]; then
    printf 'failed\\t%s\\tcustomize\\t%s\\n' "$name" "$end" >&3
    exit 1
fi
mkdir -p "$data/images/$name"
echo "$*" >"$data/images/$name/.new"
mv "$data/images/$name/.new" "$data/images/$name/rootfs.ext4"
`;

class Host {
  constructor(set = {}) {
    this.dir = makeData();
    this.recipes = join(this.dir, 'recipes');
    mkdirSync(this.recipes);
    writeFileSync(join(this.recipes, 'build'), builder, { mode: 0o755 });
    execFileSync('mkfifo', [join(this.recipes, 'end')]);
    this.set = { 'paths.images_dir': this.recipes, 'pool.default': 0, ...set };
  }

  async start() {
    this.d = await new Daemon(this.dir, { set: this.set }).ready();
  }

  async call(method, path, body, status = 200) {
    const res = await (method === 'GET' ? this.d.fetch(path) : this.d.post(path, body));
    const text = await res.text();
    assert.equal(res.status, status, `${method} ${path}: ${res.status} ${text}`);
    await this.d.checkAnswer(method, path, res, text);
    return JSON.parse(text);
  }

  async rootfs(language) {
    const { rootfs } = await this.call('GET', '/api/v1/rootfs');
    return rootfs.find((r) => r.language === language);
  }

  async snapshot(language) {
    const { snapshots } = await this.call('GET', '/api/v1/snapshots');
    return snapshots.find((s) => s.language === language);
  }

  // Resolves when a build has begun, with what ends it in these words.
  async begun() {
    const fifo = await open(join(this.recipes, 'end'), 'w');
    return async (words) => {
      await fifo.write(`${words}\n`);
      await fifo.close();
    };
  }

  async until(ask, is) {
    for (;;) {
      const got = await ask();
      if (is(got)) return got;
      await new Promise((r) => setTimeout(r, 10));
    }
  }
}

async function withHost(set, body) {
  const h = new Host(set);
  try {
    await h.start();
    await body(h);
  } finally {
    await h.d?.stop();
    dropData(h.dir);
  }
}

test('a first build, one that fails, and one that leaves what was there', () => withHost({}, async (h) => {
  const python = await h.rootfs('python');
  const path = join(h.dir, 'images/python/rootfs.ext4');
  assert.deepEqual(
    [python.size, python.path, python.source, python.image, python.shared_with, python.status, python.last_build],
    [6, path, 'local', 'python', [], 'ready', undefined],
  );
  assert.equal(await h.rootfs('ruby'), undefined);

  const first = await h.call('POST', '/api/v1/rootfs', { language: 'rb', size_mb: 512 }, 202);
  assert.deepEqual(first, { message: 'rootfs creation started', language: 'ruby', build: first.build });
  let end = await h.begun();
  const begun = await h.rootfs('ruby');
  assert.deepEqual([begun.size, begun.status], [0, 'building']);
  assert.deepEqual(begun.last_build, { id: first.build, kind: 'image', status: 'running' });
  const again = await h.call('POST', '/api/v1/rootfs', { language: 'ruby' }, 409);
  assert.match(again.error, /image ruby is being made already/);
  await end('no such gem');
  const failed = await h.until(() => h.rootfs('ruby'), (r) => r.status !== 'building');
  assert.equal(failed.status, 'failed');
  assert.deepEqual([failed.last_build.id, failed.last_build.status], [first.build, 'failed']);
  assert.match(failed.last_build.error, /no such gem/);

  const second = await h.call('POST', '/api/v1/rootfs', { language: 'ruby' }, 202);
  end = await h.begun();
  await end('well');
  const made = await h.until(() => h.rootfs('ruby'), (r) => r.status !== 'building');
  assert.deepEqual([made.status, made.last_build], ['ready', { id: second.build, kind: 'image', status: 'done' }]);
  assert.ok(made.size > 0);

  const third = await h.call('POST', '/api/v1/rootfs', { language: 'python', force: true }, 202);
  end = await h.begun();
  assert.equal((await h.rootfs('python')).status, 'building');
  await end('no such wheel');
  const kept = await h.until(() => h.rootfs('python'), (r) => r.status !== 'building');
  assert.deepEqual([kept.status, kept.size, kept.last_build.id, kept.last_build.status], ['ready', 6, third.build, 'failed']);
  assert.match(kept.last_build.error, /no such wheel/);
}));

test('a language without a recipe', () => withHost({}, async (h) => {
  const none = await h.call('POST', '/api/v1/rootfs', { language: 'go' }, 404);
  assert.deepEqual([none.field, none.error], ['language', 'there is no recipe for an image "go"']);
  const unknown = await h.call('POST', '/api/v1/snapshots', { language: 'pyton' }, 404);
  assert.deepEqual([unknown.error, unknown.suggestion], ['language not found: pyton', 'python']);
}));

test('a snapshot is made anew in another machine, and stays so', () => withHost({ 'limits.memory_max_mib': 2048 }, async (h) => {
  await h.d.until('python', (l) => l.status === 'ready');
  const before = await h.snapshot('python');
  assert.deepEqual([before.source, before.image, before.vcpus], ['local', 'python', 1]);
  assert.ok(before.vmstate_size > 0 && existsSync(before.path), JSON.stringify(before));
  const { memory_mib: least } = await h.d.language('python');
  assert.equal(before.mem_size, least * 2 ** 20);

  const refused = [
    [{ vcpus: cpus().length + 1 }, 400, 'vcpus', / 1 to \d+/],
    [{ mem_mb: least - 1 }, 400, 'mem_mb', new RegExp(`^python needs at least ${least} MiB$`)],
    [{ mem_mb: 2049 }, 400, 'mem_mb', /^all VMs together have at most 2048 MiB on this host$/],
  ];
  for (const [more, status, field, says] of refused) {
    const error = await h.call('POST', '/api/v1/snapshots', { language: 'python', ...more }, status);
    assert.equal(error.field, field);
    assert.match(error.error, says);
  }
  const missing = await h.call('POST', '/api/v1/snapshots', { language: 'ruby' }, 409);
  assert.match(missing.error, /ruby/);
  assert.equal((await h.snapshot('python')).path, before.path);

  const started = await h.call('POST', '/api/v1/snapshots', { language: 'python', mem_mb: 640, vcpus: 1 }, 202);
  assert.deepEqual(started, { message: 'snapshot creation started', language: 'python' });
  const isNew = (s) => s?.mem_size === 640 * 2 ** 20;
  const after = await h.until(() => h.snapshot('python'), isNew);
  assert.notEqual(after.path, before.path);
  await h.d.stop();
  await h.start();
  await h.until(() => h.snapshot('python'), isNew);
  assert.equal((await (await h.d.execute({ language: 'python', code: 'print hello' })).json()).stdout, 'hello\n');
}));
