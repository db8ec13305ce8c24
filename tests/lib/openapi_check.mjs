// SPDX-License-Identifier: Apache-2.0
// Holds real answers against an OpenAPI document of the daemon that gave them: is the status documented for that
// row, has the answer the content type and the schema that go with it. Objects of answers may have only the
// members that are documented, although the document itself leaves them open for later versions.
//
// Needs the packages of tests/package.json (tests/lib/node.bash installs them).

import { strict as assert } from 'node:assert';
import Ajv2020 from 'ajv/dist/2020.js';

const pointer = (...parts) =>
  parts.map((p) => '/' + encodeURIComponent(String(p).replaceAll('~', '~0').replaceAll('/', '~1'))).join('');

// The same document with every object of an answer closed.
function closed(node) {
  if (Array.isArray(node)) return node.map(closed);
  if (!node || typeof node !== 'object') return node;
  const copy = Object.fromEntries(Object.entries(node).map(([k, v]) => [k, closed(v)]));
  if (copy.type !== undefined && copy.properties && !('additionalProperties' in copy)) copy.additionalProperties = false;
  return copy;
}

class Checker {
  constructor(document) {
    this.ajv = new Ajv2020({ strict: false, allErrors: true, formats: {} });
    this.ajv.addSchema(closed(document), 'document');
    this.validators = new Map();
    this.patterns = Object.keys(document.paths).map((path) => ({
      path,
      has: path.includes('{'),
      pattern: new RegExp('^' + path.replaceAll(/[.+*?^$()|[\]\\]/g, '\\$&').replaceAll(/\{[^}]*\}/g, '[^/]+') + '$'),
    }));
    // As the server does: paths without parameters come first.
    this.patterns.sort((a, b) => a.has - b.has);
    this.document = document;
  }

  find(path) {
    return this.patterns.find((p) => p.pattern.test(path))?.path;
  }

  validate(at, value, what) {
    if (!this.validators.has(at)) this.validators.set(at, this.ajv.compile({ $ref: `document#${at}` }));
    const validator = this.validators.get(at);
    const words = () => this.ajv.errorsText(validator.errors, { dataVar: 'answer' });
    assert.ok(validator(value), `${what}: ${words()} in ${JSON.stringify(value)?.slice(0, 1000)}`);
  }

  content(at, type, content, body, what) {
    const here = at + pointer('content', type, 'schema');
    if (type === 'application/json') return this.validate(here, JSON.parse(body), what);
    if (!content.schema.contentSchema) return undefined;
    for (const line of String(body).split('\n').filter(Boolean))
      this.validate(here + '/contentSchema', JSON.parse(line), what);
    return undefined;
  }

  check(method, path, status, headers, body) {
    const plain = path.split('?')[0];
    const template = this.find(plain);
    const operation = this.document.paths[template]?.[(method === 'HEAD' ? 'GET' : method).toLowerCase()];
    const what = `${method} ${template ?? plain} ${status}`;
    // What has no row is in no document; the server says so by one of these.
    if (!operation) return assert.ok([401, 403, 404, 405, 429, 503].includes(status), `${what}: it is no row`);
    const response = operation.responses[status];
    assert.ok(response, `${what}: only ${Object.keys(operation.responses)} are documented`);
    if (response.headers?.['Retry-After']) assert.match(String(headers['retry-after']), /^[1-9]\d*$/, what);
    if (method === 'HEAD') return undefined;
    const types = Object.keys(response.content ?? {});
    if (!types.length) return assert.equal(body?.length ?? 0, 0, `${what}: a body that is not documented`);
    const given = headers['content-type'] ?? '';
    const type = types.find((t) => t === given) ?? types.find((t) => t.split(';')[0] === given.split(';')[0]);
    assert.ok(type ?? types.includes('*/*'), `${what}: Content-Type ${given}, but ${types} are documented`);
    const at = '/paths' + pointer(template, (method === 'HEAD' ? 'GET' : method).toLowerCase(), 'responses', status);
    return type && this.content(at, type, response.content[type], body, what);
  }
}

const checkers = new WeakMap();

// Throws an AssertionError that says what is wrong. `headers`: an object with names in lower case, or a Headers;
// `body`: a string or a Buffer.
export function checkAnswer(document, method, path, status, headers, body) {
  if (!checkers.has(document)) checkers.set(document, new Checker(document));
  const plain = headers instanceof Headers ? Object.fromEntries(headers) : headers;
  checkers.get(document).check(method, path, status, plain, body);
}
