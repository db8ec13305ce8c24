// SPDX-License-Identifier: Apache-2.0
// The frame that every page of /docs has. Its ids begin with holm-, since headings make ids of their own. No inline script or style: the daemon's Content-Security-Policy allows none.

import { escape } from './markdown.mjs';
import { address, GROUPS, PAGES } from './pages.mjs';

const ICON = {
  menu: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 4h12M2 8h12M2 12h12"/></svg>',
  search: '<svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3.5 3.5"/></svg>',
  theme: '<svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="5.5"/><path class="fill" d="M8 2.5a5.5 5.5 0 0 1 0 11z"/></svg>',
};

function navigation(current) {
  return GROUPS.map((group) => {
    const items = PAGES.filter((p) => p.group === group).map((p) => {
      const here = p === current ? ' aria-current="page"' : '';
      return `<li><a href="${address(p)}"${here}>${escape(p.title)}</a></li>`;
    });
    return `<h2>${group}</h2><ul>${items.join('')}</ul>`;
  }).join('\n');
}

function contents(headings) {
  const shown = headings.filter((h) => h.depth === 2 || h.depth === 3);
  if (shown.length < 2) return '';
  const items = shown.map((h) => `<li class="depth-${h.depth}"><a href="#${h.id}">${escape(h.text)}</a></li>`);
  return `<h2 id="holm-toc">On this page</h2><ul>${items.join('')}</ul>`;
}

function neighbours(current) {
  const i = PAGES.indexOf(current);
  const link = (page, kind, word) =>
    page
      ? `<a class="${kind}" rel="${kind}" href="${address(page)}"><small>${word}</small>${escape(page.title)}</a>`
      : '<span></span>';
  return link(PAGES[i - 1], 'prev', 'Previous') + link(PAGES[i + 1], 'next', 'Next');
}

// `body` is HTML; `scripts` are further modules of the page.
export function layout({ page, title, body, headings = [], scripts = [] }) {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(page.name === 'index' ? 'Holm documentation' : `${title} - Holm`)}</title>
<meta name="description" content="${escape(page.about)}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs/docs.css">
<script src="/theme.js"></script>
<script src="/docs/early.js"></script>
${['/docs/docs.js', ...scripts].map((s) => `<script type="module" src="${s}"></script>`).join('\n')}
</head>
<body>
<a class="skip" href="#holm-content">Skip to the text</a>
<header class="top">
<a class="brand" href="/docs/"><img src="/favicon.svg" alt="" width="22" height="22">Holm <span>docs</span></a>
<div class="search" hidden>
${ICON.search}
<input id="holm-search" type="search" placeholder="Search" aria-label="Search the documentation" role="combobox"
 aria-expanded="false" aria-controls="holm-results" aria-autocomplete="list" autocomplete="off" spellcheck="false">
<kbd aria-hidden="true">/</kbd>
<ul id="holm-results" role="listbox" aria-label="Results" hidden></ul>
</div>
<nav class="links" aria-label="Elsewhere">
<a href="/">Dashboard</a>
<a href="/swagger/">Explorer</a>
<button type="button" id="holm-theme" class="icon" aria-label="Change the theme" hidden>${ICON.theme}</button>
</nav>
</header>
<div class="columns">
<nav class="pages" aria-label="Pages">
<details id="holm-pages" open><summary>${ICON.menu} All pages</summary>
<div class="list">
${navigation(page)}
</div>
</details>
</nav>
<main id="holm-content" tabindex="-1">
<article>
${body}
</article>
<nav class="neighbours" aria-label="Previous and next page">${neighbours(page)}</nav>
</main>
<aside class="toc" aria-label="On this page">
${contents(headings)}
</aside>
</div>
</body>
</html>
`;
}
