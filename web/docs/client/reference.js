// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Shows an OpenAPI document of the daemon as a page: it is made from the very rows that the daemon dispatches by, so
// what stands here is what it does. All text of the document is put in as text.

import { addCopies, watchContents } from '/docs/docs.js';

/** @typedef {any} Json */
/** @typedef {{method: string, path: string, op: Json}} Call */
/** @typedef {{name: string, schema: Json, required: boolean}} Field */

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head'];
const DEPTH_MAX = 4;

/**
 * @param {string} tag @param {Record<string, string>} [attributes] @param {...(Node | string | null | undefined)} inner
 */
function make(tag, attributes = {}, ...inner) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(.../** @type {(Node | string)[]} */ (inner.filter((x) => x !== null && x !== undefined)));
  return e;
}

/** @param {string} text `code` in it becomes code. */
function prose(text) {
  const out = document.createDocumentFragment();
  text.split(/`([^`]+)`/).forEach((part, i) => out.append(i % 2 ? make('code', {}, part) : part));
  return out;
}

/** @param {Json} doc @param {Json} schema */
function follow(doc, schema) {
  let s = schema;
  for (let i = 0; s?.$ref && i < 16; i++)
    s = s.$ref.slice(2).split('/').reduce((/** @type {Json} */ at, /** @type {string} */ key) => at?.[key], doc);
  return s ?? {};
}

// --- Schemas in words ---

/** @param {Json} doc @param {Json} schema @returns {string} */
function typeName(doc, schema) {
  const s = follow(doc, schema);
  if (s.oneOf || s.anyOf) return (s.oneOf ?? s.anyOf).map((/** @type {Json} */ o) => typeName(doc, o)).join(' or ');
  const types = [s.type ?? (s.properties ? 'object' : 'any')].flat();
  return types
    .map((t) => {
      if (t === 'array') return `array of ${s.items ? typeName(doc, s.items) : 'any'}`;
      if (t === 'object' && s.additionalProperties?.type) return `object of ${s.additionalProperties.type}`;
      return t;
    })
    .join(' or ');
}

/** @param {Json} s Its bounds, default and choices. */
function bounds(s) {
  const out = [];
  const range = (/** @type {string} */ low, /** @type {string} */ high, /** @type {string} */ unit) => {
    if (s[low] !== undefined && s[high] !== undefined) out.push(`${s[low]} to ${s[high]}${unit}`);
    else if (s[low] !== undefined) out.push(`at least ${s[low]}${unit}`);
    else if (s[high] !== undefined) out.push(`at most ${s[high]}${unit}`);
  };
  if (s.enum) out.push(`one of ${s.enum.map((/** @type {Json} */ v) => `\`${v}\``).join(' ')}`);
  // Any 32-bit number is no bound that is worth a word.
  if (s.minimum !== -(2 ** 31) && s.maximum !== 2 ** 31 - 1) range('minimum', 'maximum', '');
  range('minLength', 'maxLength', ' characters');
  range('minItems', 'maxItems', ' items');
  range('minProperties', 'maxProperties', ' entries');
  if (s.default !== undefined) out.push(`default \`${JSON.stringify(s.default)}\``);
  return out.join('; ');
}

/** @param {Json} doc @param {Json} schema The object in it: itself, or what a list has. */
function objectOf(doc, schema) {
  let s = follow(doc, schema);
  for (const one of s.oneOf ?? s.anyOf ?? []) if (follow(doc, one).properties) s = follow(doc, one);
  if (s.items) s = follow(doc, s.items);
  return s.properties ? s : null;
}

/** @param {Json} doc @param {Json} schema @param {string} [prefix] @param {number} [depth] @returns {Field[]} */
function fields(doc, schema, prefix = '', depth = 0) {
  const object = objectOf(doc, schema);
  if (!object || depth > DEPTH_MAX) return [];
  return Object.entries(object.properties).flatMap(([key, value]) => {
    const s = follow(doc, value);
    const name = prefix + key;
    const inner = fields(doc, s, `${name}${s.items ? '[]' : ''}.`, depth + 1);
    return [{ name, schema: s, required: Boolean(object.required?.includes(key)) }, ...inner];
  });
}

/** @param {Json} doc @param {Field[]} rows @param {boolean} asked Whether "required" is worth a word. */
function table(doc, rows, asked) {
  const body = rows.map(({ name, schema, required }) => {
    const more = bounds(schema);
    const cell = make('td', {}, prose(schema.description ?? ''));
    if (more) cell.append(make('div', { class: 'bounds' }, prose(more)));
    return make(
      'tr', {},
      make('td', {}, make('code', {}, name), asked && required ? make('small', { class: 'required' }, 'required') : null),
      make('td', { class: 'type' }, typeName(doc, schema)),
      cell,
    );
  });
  const frame = make('div', { class: 'table', role: 'group', tabindex: '0', 'aria-label': 'Fields' });
  frame.append(make('table', { class: 'fields' }, make('tbody', {}, ...body)));
  return frame;
}

// --- An example ---

/** @param {Json} doc @param {Json} schema @param {string} name A value that could be sent. @returns {Json} */
function sample(doc, schema, name) {
  const s = follow(doc, schema);
  if (s.example !== undefined) return s.example;
  if (s.default !== undefined) return s.default;
  if (s.enum) return s.enum[0];
  if (s.oneOf) return sample(doc, s.oneOf[0], name);
  const type = [s.type].flat()[0];
  if (type === 'array') return s.items && s.minItems ? [sample(doc, s.items, name)] : [];
  if (type === 'object') return s.properties ? sampleObject(doc, s) : {};
  if (type === 'integer' || type === 'number') return KNOWN[name] ?? Math.max(s.minimum ?? 1, 0);
  if (type === 'boolean') return true;
  return KNOWN[name] ?? (name.toLowerCase().endsWith('id') ? 'ID' : name.toUpperCase());
}

/** @type {Record<string, Json>} What people would write there. */
const KNOWN = {
  cpu: 1, memMb: 512, cmd: 'echo hello', code: 'console.log(2 + 2)', language: 'python', path: '/workspace/a.txt', dest: '/workspace',
  name: 'lab', description: 'What it is for', url: 'https://example.com/hook',
};

/** @param {Json} doc @param {Json} s */
function sampleObject(doc, s) {
  const names = Object.keys(s.properties);
  const needed = names.filter((n) => s.required?.includes(n));
  const shown = needed.length ? needed : names.filter((n) => n in KNOWN).slice(0, 1);
  return Object.fromEntries(shown.map((n) => [n, sample(doc, s.properties[n], n)]));
}

/** @param {string} text For a shell, between single quotes. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** @param {Json} doc @param {Call} call @param {string} base */
function curl(doc, call, base) {
  const { op, method, path } = call;
  const parameters = (op.parameters ?? []).map((/** @type {Json} */ p) => follow(doc, p));
  const needed = parameters.filter((/** @type {Json} */ p) => p.in === 'query' && p.required);
  const query = needed.map((/** @type {Json} */ p) => `${p.name}=${sample(doc, p.schema, p.name)}`).join('&');
  const place = base + path.replace(/\{(\w+)\}/g, (_, name) => name.toUpperCase()) + (query && `?${query}`);
  const lines = [`curl -sS${method === 'get' ? '' : ` -X ${method.toUpperCase()}`} ${quoted(place)}`];
  if ((op.security ?? doc.security ?? []).some((/** @type {Json} */ s) => Object.keys(s).length))
    lines.push('-H "X-API-Key: $KEY"');
  const content = op.requestBody?.content ?? {};
  const type = Object.keys(content)[0];
  if (type === 'application/json')
    lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(sample(doc, content[type].schema, '')))}`);
  else if (type) lines.push(`-H 'Content-Type: ${type}'`, '--data-binary @FILE');
  const answer = Object.entries(op.responses ?? {}).find(([code]) => code.startsWith('2'))?.[1];
  const kinds = Object.keys(/** @type {Json} */ (answer)?.content ?? {});
  if (kinds.length && !kinds.some((k) => /json|text/.test(k))) lines.push('-o FILE');
  return lines.join(' \\\n    ');
}

// --- One call ---

/** @param {Json} doc @param {Call} call */
function parametersOf(doc, call) {
  const all = (call.op.parameters ?? []).map((/** @type {Json} */ p) => follow(doc, p));
  if (!all.length) return [];
  const rows = all.map((/** @type {Json} */ p) => ({
    name: p.name,
    required: p.required && p.in !== 'path',
    schema: { ...follow(doc, p.schema), description: p.description ?? (p.in === 'path' ? 'In the path' : '') },
  }));
  return [make('h4', {}, 'Parameters'), table(doc, rows, true)];
}

/** @param {Json} doc @param {Call} call */
function bodyOf(doc, call) {
  const content = call.op.requestBody?.content ?? {};
  return Object.entries(content).flatMap(([type, media]) => {
    const rows = fields(doc, /** @type {Json} */ (media).schema);
    const title = make('h4', {}, 'Body ', make('code', {}, type));
    return rows.length ? [title, table(doc, rows, true)] : [title];
  });
}

/** @param {Json} doc @param {Call} call */
function answersOf(doc, call) {
  const good = Object.entries(call.op.responses ?? {}).filter(([code]) => /^[123]/.test(code));
  return good.flatMap(([code, response]) => {
    const r = follow(doc, response);
    const kinds = Object.entries(r.content ?? {});
    const head = make('h4', {}, 'Answer ', make('span', { class: 'status' }, code));
    for (const [type] of kinds) head.append(' ', make('code', {}, type));
    const note = r.description && r.description !== 'Success' ? make('p', {}, prose(r.description)) : null;
    const rows = kinds.flatMap(([, media]) => fields(doc, /** @type {Json} */ (media).schema));
    const lists = kinds.some(([, media]) => [follow(doc, /** @type {Json} */ (media).schema).type].flat().includes('array'));
    const fold = rows.length
      ? make('details', {}, make('summary', {}, `${lists ? 'A list of objects, each with ' : ''}${rows.length} field${rows.length === 1 ? '' : 's'}`), table(doc, rows, false))
      : null;
    return /** @type {Node[]} */ ([head, note, fold].filter(Boolean));
  });
}

/** @param {Json} doc @param {Call} call */
function errorsOf(doc, call) {
  const bad = Object.entries(call.op.responses ?? {}).filter(([code]) => /^[45]/.test(code));
  if (!bad.length) return [];
  const items = bad.flatMap(([code, r]) => [
    make('dt', {}, code),
    make('dd', {}, prose(follow(doc, r).description ?? '')),
  ]);
  const codes = bad.map(([code]) => code).join(' ');
  return [make('details', { class: 'errors' }, make('summary', {}, 'Errors ', make('span', {}, codes)), make('dl', {}, ...items))];
}

/** @param {Json} doc @param {Call} call @param {string} base */
function section(doc, call, base) {
  const id = call.op.operationId;
  const method = make('span', { class: `method ${call.method}` }, call.method.toUpperCase());
  const title = make('h3', { id }, make('a', { class: 'anchor', href: `#${id}` }, method, ' ', make('code', {}, call.path)));
  const summary = [call.op.summary, call.op.description].filter(Boolean).join('. ');
  const code = make('div', { class: 'code' }, make('pre', { tabindex: '0' }, make('code', {}, curl(doc, call, base))));
  return make(
    'section', { class: 'call', 'aria-labelledby': id },
    title,
    make('p', {}, prose(summary)),
    code,
    ...parametersOf(doc, call),
    ...bodyOf(doc, call),
    ...answersOf(doc, call),
    ...errorsOf(doc, call),
  );
}

// --- The page ---

/** @param {Json} doc @returns {Map<string, Call[]>} Calls by what they are about: the first part of the path that is no prefix. */
function grouped(doc) {
  const groups = new Map();
  for (const [path, item] of Object.entries(doc.paths))
    for (const method of METHODS) {
      const op = /** @type {Json} */ (item)[method];
      if (!op) continue;
      const part = path.split('/').find((p) => p && !/^(rds|native|api|v\d+)$/.test(p)) ?? path;
      const name = part.replace(/[{}/]|\.json$/g, '') || 'index';
      groups.set(name, [...(groups.get(name) ?? []), { method, path, op }]);
    }
  return groups;
}

const GROUP_NAMES = new Map(Object.entries({ vms: 'VMs', auth: 'Signing in', admin: 'Administration', org: 'Account', healthz: 'Health', openapi: 'OpenAPI' }));

/** @param {string} name */
const groupTitle = (name) => GROUP_NAMES.get(name) ?? name.charAt(0).toUpperCase() + name.slice(1).replace(/-/g, ' ');

/** @param {HTMLElement} root @param {Json} doc */
function show(root, doc) {
  const base = new URL(doc.servers?.[0]?.url ?? '/', location.origin).href.replace(/\/$/, '');
  const parts = [];
  const contents = make('ul', {});
  if (doc.info?.description) parts.push(make('p', {}, prose(doc.info.description)));
  for (const [name, calls] of grouped(doc)) {
    const id = `group-${name}`;
    parts.push(make('h2', { id }, make('a', { class: 'anchor', href: `#${id}` }, groupTitle(name))));
    contents.append(make('li', { class: 'depth-2' }, make('a', { href: `#${id}` }, groupTitle(name))));
    for (const call of calls) {
      parts.push(section(doc, call, base));
      const short = call.path.replace(/^(\/(rds|native|api))?(\/v\d+)?(?=\/)/, '');
      const link = make('a', { href: `#${call.op.operationId}` }, make('b', {}, call.method.toUpperCase()), ` ${short}`);
      contents.append(make('li', { class: 'depth-3 call' }, link));
    }
  }
  root.replaceChildren(...parts);
  root.removeAttribute('aria-live'); // it is announced by being loaded, not by being read out whole
  document.querySelector('.toc')?.replaceChildren(make('h2', {}, 'On this page'), contents);
  addCopies(root);
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  watchContents();
}

async function start() {
  const root = document.getElementById('reference');
  if (!root) return;
  const address = root.dataset.document ?? '';
  root.replaceChildren(make('p', { class: 'note' }, `Loading ${address} …`));
  try {
    const res = await fetch(address);
    if (!res.ok) throw new Error(`the daemon answered ${res.status}`);
    show(root, await res.json());
  } catch (e) {
    root.replaceChildren(make('p', { class: 'note', role: 'alert' }, `${address} could not be loaded: ${e instanceof Error ? e.message : e}. Load the page again to try once more.`));
  }
}

void start();
