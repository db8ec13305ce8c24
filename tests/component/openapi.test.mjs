// SPDX-License-Identifier: Apache-2.0
// The OpenAPI documents: three validators that others wrote, and what they do not look at.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import SwaggerParser from '@apidevtools/swagger-parser';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Validator } from '@seriousme/openapi-schema-validator';
import { checkAnswer } from '../lib/openapi_check.mjs';
import { rdsListener, withDaemon } from './daemon.mjs';

// Of the linter's, those that are about a document's being right. A WebSocket succeeds with 101.
const rules = {
  'info-license': 'error', 'no-ambiguous-paths': 'error', 'no-enum-type-mismatch': 'error',
  'no-identical-paths': 'error', 'no-invalid-media-type-examples': 'error', 'no-path-trailing-slash': 'error',
  'no-unresolved-refs': 'error', 'no-unused-components': 'error', 'operation-2xx-response': 'off',
  'operation-operationId': 'error', 'operation-operationId-unique': 'error', 'operation-operationId-url-safe': 'error',
  'operation-parameters-unique': 'error', 'operation-summary': 'error', 'operation-tag-defined': 'error',
  'path-declaration-must-exist': 'error', 'path-parameters-defined': 'error', 'paths-kebab-case': 'off',
  'security-defined': 'error', 'spec-components-invalid-map-name': 'error', 'struct': 'error',
  'tag-description': 'error', 'tags-alphabetical': 'off', 'parameter-description': 'error',
  'no-required-schema-properties-undefined': 'error', 'no-schema-type-mismatch': 'error',
};

async function lint(document) {
  const config = await createConfig({ rules });
  const problems = await lintFromString({ source: JSON.stringify(document), config });
  return problems.map((p) => `${p.ruleId} ${p.location[0]?.pointer}: ${p.message}`);
}

async function check(document, name) {
  const schema = await new Validator().validate(structuredClone(document));
  assert.ok(schema.valid, `${name}: ${JSON.stringify(schema.errors)?.slice(0, 2000)}`);
  await SwaggerParser.validate(structuredClone(document));
  assert.deepEqual(await lint(document), [], name);
}

async function documentsAt(d, url) {
  const list = await (await fetch(`${url}/openapi`)).json();
  const urls = ['/openapi.json', ...list.documents.map((x) => x.url)];
  return Promise.all(urls.map(async (u) => [u, await (await fetch(url + u)).json()]));
}

// What holds real answers against the documents must itself find what is wrong.
test('checkAnswer', () => {
  const document = {
    openapi: '3.1.0', info: { title: 't', version: '1' },
    components: { schemas: {
      A: { type: 'object', properties: { n: { type: 'integer' }, o: { type: 'object', properties: {} } }, required: ['n'] },
      E: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    } },
    paths: {
      '/a/{id}': { get: { responses: {
        200: { content: { 'application/json': { schema: { type: 'array', items: { $ref: '#/components/schemas/A' } } },
                          'application/x-ndjson': { schema: { type: 'string', contentSchema: { $ref: '#/components/schemas/A' } } } } },
        429: { headers: { 'Retry-After': {} }, content: { 'application/json': { schema: { $ref: '#/components/schemas/E' } } } },
      } }, delete: { responses: { 204: {} } } },
      '/a/b': { get: { responses: { 200: { content: { 'text/plain; charset=utf-8': { schema: { type: 'string' } } } } } } },
    },
  };
  const json = { 'content-type': 'application/json' };
  const rows = [
    ['GET', '/a/1?x=y', 200, json, '[{"n":1}]'],
    ['HEAD', '/a/1', 200, json, ''],
    ['GET', '/a/1', 200, { 'content-type': 'application/x-ndjson' }, '{"n":1}\n{"n":2}\n'],
    ['GET', '/a/1', 429, { ...json, 'retry-after': '3' }, '{"message":"m"}'],
    ['DELETE', '/a/1', 204, {}, ''],
    ['GET', '/a/b', 200, { 'content-type': 'text/plain; charset=utf-8' }, 'x'],
    ['PUT', '/a/b', 405, json, '{}'],
    ['GET', '/none', 404, json, '{}'],
    ['GET', '/a/1', 200, json, '[{"n":"1"}]', /must be integer/],
    ['GET', '/a/1', 200, json, '[{}]', /required property 'n'/],
    ['GET', '/a/1', 200, json, '[{"n":1,"extra":1}]', /additional properties/],
    ['GET', '/a/1', 200, json, '[{"n":1,"o":{"extra":1}}]', /additional properties/],
    ['GET', '/a/1', 200, json, '{"n":1}', /must be array/],
    ['GET', '/a/1', 200, { 'content-type': 'text/html' }, '[]', /Content-Type text\/html/],
    ['GET', '/a/1', 200, { 'content-type': 'application/x-ndjson' }, '{"n":1}\n{"n":"2"}\n', /must be integer/],
    ['GET', '/a/1', 404, json, '{}', /only 200,429 are documented/],
    ['GET', '/a/1', 429, json, '{"message":"m"}', /429/],
    ['DELETE', '/a/1', 204, {}, 'x', /a body that is not documented/],
    ['GET', '/none', 200, json, '{}', /it is no row/],
  ];
  for (const [method, path, status, headers, body, wrong] of rows) {
    const check = () => checkAnswer(document, method, path, status, headers, body);
    if (wrong) assert.throws(check, wrong, `${method} ${path} ${body}`);
    else check();
  }
});

test('validators find nothing in any document, on any listener', async () => {
  await withDaemon(rdsListener, async (d) => {
    for (const url of [d.url, await d.rdsUrl()])
      for (const [name, document] of await documentsAt(d, url)) await check(document, `${url}${name}`);
  });
});

test('the combined document has every operation of every dialect', async () => {
  await withDaemon({}, async (d) => {
    const [[, all], ...each] = await documentsAt(d, d.url);
    const operations = (document) =>
      Object.entries(document.paths).flatMap(([p, ops]) => Object.keys(ops).map((m) => `${m} ${p}`));
    assert.deepEqual(operations(all).sort(), each.flatMap(([, x]) => operations(x)).sort());
    assert.equal(all.tags.length, each.length);
  });
});

test('each path of a document leads to its row, on every listener', async () => {
  await withDaemon(rdsListener, async (d) => {
    for (const url of [d.url, await d.rdsUrl()])
      for (const [, document] of await documentsAt(d, url))
        for (const [path, operations] of Object.entries(document.paths)) {
          const res = await fetch(url + path.replaceAll(/\{[^}]*\}/g, 'x'), { method: 'OPTIONS' });
          const allowed = res.headers.get('allow') ?? '';
          for (const method of Object.keys(operations))
            assert.ok(allowed.includes(method.toUpperCase()), `${method} ${url}${path}: ${res.status} ${allowed}`);
        }
  });
});

test('on its own listener the document is of the mounted dialect', async () => {
  await withDaemon(rdsListener, async (d) => {
    const url = await d.rdsUrl();
    const document = await (await fetch(`${url}/openapi.json`)).json();
    assert.ok(document.paths['/v1/vms']);
    assert.equal(document.paths['/rds/v1/vms'], undefined);
    assert.equal(document.paths['/native/v1/vms'], undefined);
    const native = await (await fetch(`${url}/openapi/native.json`)).json();
    assert.ok(native.paths['/native/v1/vms']);
  });
});
