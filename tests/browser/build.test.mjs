// SPDX-License-Identifier: Apache-2.0
// What the build of the dashboard made: small, complete, and nothing in it from elsewhere.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const DIST = resolve(process.env.HOLM_WEB ?? fileURLToPath(new URL('../../web/dist', import.meta.url)));
// The reach is 300 KB; what is far below today shall not creep up unseen.
const FIRST_LOAD_MOST = 60 * 1024;

const read = (path) => readFileSync(join(DIST, path), 'utf8');
const packedSize = (path) => statSync(join(DIST, existsSync(join(DIST, `${path}.gz`)) ? `${path}.gz` : path)).size;

test('the first load is small, and the terminal is no part of it', () => {
  const html = read('index.html');
  const named = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((m) => m[1].slice(1)).filter((p) => /\.(js|css|svg)$/.test(p));
  assert.ok(named.some((p) => p.endsWith('.css')) && named.some((p) => /assets\/.*\.js$/.test(p)), named.join(' '));
  const loaded = new Set(['index.html']);
  const add = (path) => {
    if (loaded.has(path)) return;
    loaded.add(path);
    // What a script imports is loaded with it; import() is not.
    if (path.endsWith('.js'))
      for (const m of read(path).matchAll(/(?:from|^import|;import)\s*"\.\/([^"]+)"/gm)) add(join(path, '..', m[1]));
  };
  named.forEach(add);
  const total = [...loaded].reduce((n, path) => n + packedSize(path), 0);
  assert.ok(total <= FIRST_LOAD_MOST, `${total} bytes: ${[...loaded].map((p) => `${p} ${packedSize(p)}`).join(', ')}`);
  for (const path of loaded) if (path.endsWith('.js')) assert.doesNotMatch(read(path), /xterm-helper-textarea/);
});

test('each text has its packed form beside it, which is the same', () => {
  let n = 0;
  for (const entry of readdirSync(DIST, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(html|js|css|svg)$/.test(entry.name)) continue;
    const file = join(entry.parentPath, entry.name);
    assert.deepEqual(gunzipSync(readFileSync(`${file}.gz`)), readFileSync(file), file);
    n++;
  }
  assert.ok(n > 10);
});

test('pages have no script or style sheet from elsewhere, and no inline script', () => {
  for (const entry of readdirSync(DIST, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.html')) continue;
    const html = readFileSync(join(entry.parentPath, entry.name), 'utf8');
    for (const [tag] of html.matchAll(/<(?:script|link|img|iframe)\b[^>]*>/g)) assert.doesNotMatch(tag, /(?:src|href)="(?:https?:)?\/\//, `${entry.name}: ${tag}`);
    assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)[^>]*>/, entry.name);
    assert.doesNotMatch(html, /\son[a-z]+="/, entry.name);
  }
});
