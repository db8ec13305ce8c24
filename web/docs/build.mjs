// SPDX-License-Identifier: Apache-2.0
// Makes dist/docs and dist/swagger: the documents of the tree as pages that need no script to be read, an index for
// the search, pages that show the daemon's own OpenAPI documents, and Swagger UI.
// `npm run build` does it; node docs/build.mjs [DIST] does this part alone.

import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layout } from './layout.mjs';
import { escape, render } from './markdown.mjs';
import { address, GROUPS, PAGES } from './pages.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const require = createRequire(import.meta.url);

// The front page begins with where to go, before the text itself.
function cards() {
  const groups = GROUPS.slice(0, 3).map((group) => {
    const items = PAGES.filter((p) => p.group === group && p.name !== 'index').map(
      (p) => `<li><a href="${address(p)}"><strong>${escape(p.title)}</strong><span>${escape(p.about)}</span></a></li>`,
    );
    return `<section><h2>${group}</h2><ul>${items.join('')}</ul></section>`;
  });
  return `<div class="cards">${groups.join('')}</div>`;
}

function written(page) {
  const made = render(readFileSync(join(root, page.file), 'utf8'), page.file);
  const body = page.name === 'index' ? made.html.replace('</h1>', `</h1>${cards()}`) : made.html;
  return { html: layout({ page, title: made.title, body, headings: made.headings }), sections: made.sections };
}

function referenced(page) {
  const doc = page.document;
  const body = `<h1 id="reference-title">${escape(page.title)}</h1>
<p>Made from <a href="${doc}"><code>${doc}</code></a>, which this daemon serves; try calls in the <a href="/swagger/?api=${doc.match(/(\w+)\.json$/)[1]}">explorer</a>.</p>
<noscript><p class="note">This page needs a script to show that document; the link above is the document itself.</p></noscript>
<div id="reference" data-document="${doc}" aria-live="polite"></div>`;
  const html = layout({ page, title: page.title, body, scripts: ['/docs/reference.js'] });
  return { html, sections: [{ id: 'reference-title', title: page.title, text: page.about }] };
}

function buildPages(out) {
  const index = [];
  for (const page of PAGES) {
    const { html, sections } = page.file ? written(page) : referenced(page);
    writeFileSync(join(out, `${page.name}.html`), html);
    for (const s of sections)
      index.push([address(page) + `#${s.id}`, page.title, s.title, s.text.replace(/\s+/g, ' ').trim()]);
  }
  writeFileSync(join(out, 'search.json'), JSON.stringify(index));
}

// Only what the explorer loads, and its licence.
function buildSwagger(out) {
  const from = dirname(require.resolve('swagger-ui-dist/package.json'));
  for (const f of ['swagger-ui-bundle.js', 'swagger-ui.css', 'LICENSE', 'NOTICE'])
    copyFileSync(join(from, f), join(out, f));
  cpSync(join(here, 'swagger'), out, { recursive: true });
}

function directory(dist, name) {
  const out = join(dist, name);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  return out;
}

export function buildDocs(dist) {
  const docs = directory(dist, 'docs');
  for (const f of readdirSync(join(here, 'client'))) copyFileSync(join(here, 'client', f), join(docs, f));
  buildPages(docs);
  buildSwagger(directory(dist, 'swagger'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildDocs(resolve(process.argv[2] ?? join(here, '../dist')));
