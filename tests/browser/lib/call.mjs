// SPDX-License-Identifier: Apache-2.0
// Calls of any dialect, where page.mjs has those of the native one.

import assert from 'node:assert/strict';

// `t` is what setUp() gave; resolves with the JSON of an answer that has to be a success.
export const caller = (t) => async (method, path, body, key = t.key) => {
  const res = await fetch(t.url + path, {
    method,
    headers: { 'x-api-key': key, ...(body !== undefined && { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await res.text();
  assert.ok(res.ok, `${method} ${path}: ${res.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
};
