// SPDX-License-Identifier: Apache-2.0
// Markdown to HTML as /docs has it: headings with anchors (the same ones that code hosts make, so links between the
// files work in both places), links between files as links between pages, code with a little colour.

import { posix } from 'node:path';
import { Marked } from 'marked';
import { address, PAGES } from './pages.mjs';

export const escape = (text) =>
  text.replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[c]);

const byFile = new Map(PAGES.filter((p) => p.file).map((p) => [p.file, p]));

export function slug(text, seen) {
  const base = text.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-');
  const n = seen.get(base) ?? 0;
  seen.set(base, n + 1);
  return n ? `${base}-${n}` : base;
}

// The address of a link in `file`. Outside links stay; what leads to no page is an error, so no dead one is built.
function resolve(href, file) {
  if (/^[a-z]+:/i.test(href) || href.startsWith('#')) return href;
  const [path, anchor] = href.split('#');
  const target = posix.normalize(posix.join(posix.dirname(file), path));
  const page = byFile.get(target);
  if (!page) throw new Error(`${file}: the link to ${href} leads to no page of web/docs/pages.mjs`);
  return address(page) + (anchor ? `#${anchor}` : '');
}

const SHELL = /(#(?:(?<=^#|\s#) .*)$)|('[^']*'|"(?:[^"\\]|\\.)*")|(\$\{?\w+\}?)/gm;
const JSON_ = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null|-?\d+(?:\.\d+)?)\b/g;

const span = (kind, text) => `<span class="hl-${kind}">${escape(text)}</span>`;

// Colours what `pattern` finds; `pick` makes HTML of a match.
function paint(code, pattern, pick) {
  let out = '';
  let at = 0;
  for (const m of code.matchAll(pattern)) {
    out += escape(code.slice(at, m.index)) + pick(m);
    at = m.index + m[0].length;
  }
  return out + escape(code.slice(at));
}

export function highlight(code, language) {
  if (language === 'json' || (!language && /^\s*[{[]/.test(code)))
    return paint(code, JSON_, (m) =>
      m[1] ? span(m[2] ? 'key' : 'string', m[1]) + (m[2] ?? '') : span('number', m[0]));
  if (!language || /^(sh|bash|shell)$/.test(language))
    return paint(code, SHELL, (m) => span(m[1] ? 'comment' : m[2] ? 'string' : 'variable', m[0]));
  return escape(code);
}

const plain = (tokens) =>
  (tokens ?? []).map((t) => (t.tokens ? plain(t.tokens) : t.type === 'br' ? ' ' : (t.text ?? t.raw ?? ''))).join('');

// Plain text of any block, for the search.
function text(token) {
  if (token.type === 'table')
    return [token.header, ...token.rows].map((row) => row.map((c) => plain(c.tokens)).join(' ')).join('\n');
  if (token.type === 'list') return token.items.map((i) => i.tokens.map(text).join(' ')).join('\n');
  if (token.type === 'blockquote') return token.tokens.map(text).join('\n');
  return token.tokens ? plain(token.tokens) : (token.text ?? '');
}

function renderer(file, anchors) {
  const mention = (code) => {
    const page = byFile.get(posix.normalize(code)) ?? byFile.get(posix.join(posix.dirname(file), code));
    return page && page.file !== file ? address(page) : null;
  };
  return {
    heading({ tokens, depth }) {
      const inner = this.parser.parseInline(tokens);
      const id = anchors.shift();
      if (depth === 1) return `<h1 id="${id}">${inner}</h1>\n`;
      return `<h${depth} id="${id}"><a class="anchor" href="#${id}">${inner}</a></h${depth}>\n`;
    },
    link({ href, title, tokens }) {
      const to = resolve(href, file);
      const outside = /^https?:/.test(to) ? ' rel="noreferrer"' : '';
      return `<a href="${escape(to)}"${title ? ` title="${escape(title)}"` : ''}${outside}>${this.parser.parseInline(tokens)}</a>`;
    },
    // A file that is mentioned as code is a link when it is a page.
    codespan({ text: code }) {
      const to = mention(code);
      const inner = `<code>${escape(code)}</code>`;
      return to ? `<a href="${to}">${inner}</a>` : inner;
    },
    code({ text: code, lang }) {
      return `<div class="code"><pre tabindex="0"><code>${highlight(code, lang)}</code></pre></div>\n`;
    },
    table({ header, rows }) {
      const cell = (tag) => (c) => `<${tag}>${this.parser.parseInline(c.tokens)}</${tag}>`;
      // A column without a name has no heading, which a th would be.
      const title = (c) => cell(c.text ? 'th' : 'td')(c);
      const head = header.some((c) => c.text) ? `<thead><tr>${header.map(title).join('')}</tr></thead>` : '';
      const body = rows.map((r) => `<tr>${r.map(cell('td')).join('')}</tr>`).join('\n');
      return `<div class="table" role="group" aria-label="Table" tabindex="0"><table>${head}<tbody>${body}</tbody></table></div>\n`;
    },
    // None of the documents has HTML of its own; a placeholder like <id> is text.
    html: ({ text: raw }) => escape(raw),
  };
}

// {html, title, headings: [{id, text, depth}], sections: [{id, title, text}]}; sections are for the search.
export function render(source, file) {
  const marked = new Marked({ gfm: true });
  const tokens = marked.lexer(source);
  const seen = new Map();
  const headings = [];
  const sections = [];
  for (const t of tokens) {
    if (t.type === 'space') continue;
    if (t.type === 'heading') {
      const title = plain(t.tokens);
      const id = slug(title, seen);
      headings.push({ id, text: title, depth: t.depth });
      sections.push({ id, title, text: '' });
    } else if (sections.length) {
      sections.at(-1).text += text(t) + '\n';
    }
  }
  marked.use({ renderer: renderer(file, headings.map((h) => h.id)) });
  return { html: marked.parser(tokens), title: headings[0]?.text ?? file, headings, sections };
}
