// SPDX-License-Identifier: Apache-2.0
// @ts-check
// What a script adds to a page of /docs: search, buttons that copy, the theme, and where in the page one is. Reading
// needs none of it.

/** @template {Element} T @param {string} selector @param {new () => T} type @returns {T} */
function find(selector, type) {
  const e = document.querySelector(selector);
  if (!(e instanceof type)) throw new Error(`no ${selector}`);
  return e;
}

// --- Copying ---

/** @param {HTMLElement} block A .code; its text is what is copied. */
function addCopy(block) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'Copy';
  button.addEventListener('click', async () => {
    const text = block.querySelector('code')?.textContent ?? '';
    button.textContent = (await write(text)) ? 'Copied' : 'Press Ctrl-C';
    window.setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
  block.append(button);
}

/** @param {string} text Over plain HTTP browsers have no clipboard API: then by a selection. */
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'off';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/** @param {ParentNode} root */
export function addCopies(root) {
  for (const block of root.querySelectorAll('.code')) if (block instanceof HTMLElement) addCopy(block);
}

// --- Theme: the same choice as the dashboard's ---

function setUpTheme() {
  const button = find('#holm-theme', HTMLButtonElement);
  const root = document.documentElement;
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const name = () => button.setAttribute('aria-label', `Change to the ${dark() ? 'light' : 'dark'} theme`);
  button.hidden = false;
  name();
  button.addEventListener('click', () => {
    root.dataset.theme = dark() ? 'light' : 'dark';
    try {
      localStorage.setItem('holm.theme', root.dataset.theme);
    } catch {
      // Storage may be shut off: then it is for this page only.
    }
    name();
  });
}

// --- Where one is ---

let watching = new AbortController();

// Marks the entry of the list of contents whose heading was scrolled past last.
export function watchContents() {
  watching.abort();
  watching = new AbortController();
  const links = [...document.querySelectorAll('.toc a')].filter((a) => a instanceof HTMLAnchorElement);
  const pairs = links.flatMap((a) => {
    const heading = document.getElementById(decodeURIComponent(a.hash.slice(1)));
    return heading ? [{ a, heading }] : [];
  });
  if (!pairs.length) return;
  let queued = false;
  const mark = () => {
    queued = false;
    const past = pairs.filter((p) => p.heading.getBoundingClientRect().top < 120).at(-1) ?? pairs[0];
    for (const p of pairs) {
      if (p === past) p.a.setAttribute('aria-current', 'true');
      else p.a.removeAttribute('aria-current');
    }
  };
  const later = () => {
    if (!queued) requestAnimationFrame(mark);
    queued = true;
  };
  addEventListener('scroll', later, { passive: true, signal: watching.signal });
  mark();
}

// --- The list of pages: always open where there is room for it ---

function setUpPages() {
  const details = find('#holm-pages', HTMLDetailsElement);
  const wide = matchMedia('(min-width: 900px)');
  const fit = () => (details.open = wide.matches);
  wide.addEventListener('change', fit);
  fit();
  details.classList.add('is-ready');
  details.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
  window.scrollTo({ top: location.hash ? window.scrollY : 0 });
}

// --- Search ---

/** @typedef {[address: string, page: string, title: string, text: string]} Section */
/** @type {Promise<Section[]> | undefined} */
let index;

const loadIndex = () => (index ??= fetch('/docs/search.json').then((r) => r.json()));

const RESULTS_MAX = 12;

/** @param {Section} s @param {string[]} words How well it fits; 0: not at all. */
function rate(s, words) {
  const title = s[2].toLowerCase();
  const text = s[3].toLowerCase();
  const page = s[1].toLowerCase();
  let sum = 0;
  for (const w of words) {
    let n = 0;
    if (title.includes(w)) n += title === w ? 60 : title.startsWith(w) ? 40 : 25;
    if (page.includes(w)) n += 8;
    if (text.includes(w)) n += Math.min(10, 2 + text.split(w).length);
    if (!n) return 0;
    sum += n;
  }
  return sum;
}

/** @param {string} text @param {string[]} words Marks the words in it, as nodes. */
function marked(text, words) {
  const out = document.createDocumentFragment();
  const pattern = new RegExp(words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'gi');
  let at = 0;
  for (const m of text.matchAll(pattern)) {
    out.append(text.slice(at, m.index));
    const mark = document.createElement('mark');
    mark.textContent = m[0];
    out.append(mark);
    at = m.index + m[0].length;
  }
  out.append(text.slice(at));
  return out;
}

/** @param {string} text @param {string[]} words The part of it around the first word. */
function excerpt(text, words) {
  const lower = text.toLowerCase();
  const found = words.map((w) => lower.indexOf(w)).filter((i) => i >= 0);
  const at = Math.max(0, (found.length ? Math.min(...found) : 0) - 40);
  return (at ? '…' : '') + text.slice(at, at + 150) + (text.length > at + 150 ? '…' : '');
}

/** @param {Section} s @param {number} i @param {string[]} words */
function option(s, i, words) {
  const li = document.createElement('li');
  li.role = 'option';
  li.id = `result-${i}`;
  li.ariaSelected = 'false';
  const a = document.createElement('a');
  a.href = s[0];
  a.tabIndex = -1;
  const title = document.createElement('strong');
  title.append(marked(s[2], words));
  const page = document.createElement('small');
  page.textContent = s[1];
  const text = document.createElement('span');
  text.append(marked(excerpt(s[3], words), words));
  a.append(title, page, text);
  li.append(a);
  return li;
}

function setUpSearch() {
  const box = find('.search', HTMLDivElement);
  const input = find('#holm-search', HTMLInputElement);
  const list = find('#holm-results', HTMLUListElement);
  let at = -1;
  box.hidden = false;

  const options = () => /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[role=option]')]);
  const shut = () => {
    list.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
  };
  /** @param {number} i */
  const select = (i) => {
    const all = options();
    if (!all.length) return;
    at = (i + all.length) % all.length;
    for (const [n, o] of all.entries()) o.ariaSelected = String(n === at);
    all[at].scrollIntoView({ block: 'nearest' });
    input.setAttribute('aria-activedescendant', all[at].id);
  };
  const show = async () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return shut();
    const asked = input.value;
    /** @type {Section[]} */
    const sections = await loadIndex();
    if (asked !== input.value) return; // something else was typed meanwhile
    const best = sections
      .map((s) => ({ s, n: rate(s, words) }))
      .filter((r) => r.n > 0)
      .sort((a, b) => b.n - a.n)
      .slice(0, RESULTS_MAX);
    list.replaceChildren(...best.map((r, i) => option(r.s, i, words)));
    if (!best.length) {
      const none = document.createElement('li');
      none.className = 'none';
      none.textContent = 'Nothing found';
      list.append(none);
    }
    list.hidden = false;
    input.setAttribute('aria-expanded', 'true');
    select(0);
  };
  input.addEventListener('focus', () => void loadIndex());
  input.addEventListener('input', () => void show());
  input.addEventListener('keydown', (e) => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      if (list.hidden) void show();
      else select(at + (e.key === 'ArrowDown' ? 1 : -1));
    } else if (e.key === 'Enter' && !list.hidden) {
      options()[at]?.querySelector('a')?.click();
      shut();
    } else if (e.key === 'Escape') {
      if (list.hidden) input.blur();
      shut();
    }
  });
  document.addEventListener('click', (e) => {
    if (!(e.target instanceof Node) || !box.contains(e.target) || list.contains(e.target)) shut();
  });
  document.addEventListener('keydown', (e) => {
    const typing = e.target instanceof Element && e.target.closest('input, textarea, select');
    if (e.key !== '/' || typing || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    input.focus();
  });
}

setUpTheme();
setUpPages();
setUpSearch();
addCopies(document);
watchContents();
