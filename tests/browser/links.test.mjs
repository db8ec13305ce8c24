// SPDX-License-Identifier: Apache-2.0
// The pages of /docs and /swagger as they were built: no link or anchor among them is dead, nothing is loaded from
// elsewhere, and nothing is inline that the daemon's Content-Security-Policy forbids. Needs no browser.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = resolve(fileURLToPath(new URL('../..', import.meta.url)));
const dist = process.env.HOLM_WEB ?? join(root, 'web/dist');
const pages = ['docs', 'swagger'].flatMap((dir) =>
  readdirSync(join(dist, dir)).filter((f) => f.endsWith('.html')).map((f) => `/${dir}/${f}`));

// What the daemon answers besides files, and the dashboard's own pages.
const ELSEWHERE = [/^\/$/, /^\/login$/, /^\/openapi(\/\w+)?\.json$/];

const html = new Map(pages.map((p) => [p, readFileSync(join(dist, p), 'utf8')]));
const fileOf = (path) => (path.endsWith('/') ? `${path}index.html` : path);

function attributes(text, names) {
  const pattern = new RegExp(`\\s(?:${names.join('|')})="([^"]*)"`, 'g');
  return [...text.matchAll(pattern)].map((m) => m[1].replaceAll('&amp;', '&').replaceAll('&#39;', "'"));
}

const idsOf = (path) => new Set(attributes(html.get(path), ['id']));

// Why an address on `page` leads nowhere; undefined when it does lead somewhere.
function problem(page, href) {
  const { pathname, hash, origin } = new URL(href, `http://holm${page}`);
  if (origin !== 'http://holm') return undefined;
  if (ELSEWHERE.some((e) => e.test(pathname))) return undefined;
  const file = fileOf(pathname);
  if (!existsSync(join(dist, file))) return 'no such file';
  if (!hash || !html.has(file)) return undefined;
  return idsOf(file).has(decodeURIComponent(hash.slice(1))) ? undefined : 'no such anchor';
}

test('there is a page for every document of the tree', async () => {
  const { PAGES } = await import(join(root, 'web/docs/pages.mjs'));
  const files = PAGES.flatMap((p) => p.file ?? []);
  const documents = readdirSync(join(root, 'docs')).filter((f) => f.endsWith('.md')).map((f) => `docs/${f}`);
  for (const d of ['README.md', 'images/README.md', ...documents]) assert.ok(files.includes(d), `${d} is on no page`);
  for (const p of PAGES) assert.ok(html.has(`/docs/${p.name}.html`), `${p.name} was not built`);
});

test('no link is dead, and no anchor', () => {
  const dead = pages.flatMap((page) => attributes(html.get(page), ['href', 'src'])
    .map((href) => [page, href, problem(page, href)]).filter(([, , why]) => why));
  assert.deepEqual(dead, []);
});

test('the README has every document in its list', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  for (const f of readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')))
    assert.ok(readme.includes(`(docs/${f})`), `README.md does not name docs/${f}`);
});

test('every result of the search leads somewhere', () => {
  const index = JSON.parse(readFileSync(join(dist, 'docs/search.json'), 'utf8'));
  assert.ok(index.length > 100);
  for (const [address] of index) assert.equal(problem('/docs/index.html', address), undefined, address);
});

test('nothing comes from elsewhere, and nothing is inline', () => {
  for (const [page, text] of html) {
    for (const m of text.matchAll(/<(?:script|link|img|iframe)\b[^>]*>/g))
      for (const address of attributes(m[0], ['href', 'src'])) assert.match(address, /^\//, `${page}: ${m[0]}`);
    assert.doesNotMatch(text, /<script(?![^>]*\bsrc=)[^>]*>/, page);
    assert.doesNotMatch(text, /<style\b|\sstyle="|\son\w+="/, page);
  }
});

test('every id of a page is there once', () => {
  for (const page of pages) {
    const all = attributes(html.get(page), ['id']);
    assert.equal(new Set(all).size, all.length, `${page}: ${all.filter((id, i) => all.indexOf(id) !== i)}`);
  }
});
