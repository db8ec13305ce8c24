// SPDX-License-Identifier: Apache-2.0
// Who runs the programs of the tests here: a daemon of our own, or the one at HOLM_LANGUAGES_URL; and
// which languages tests/languages/run has chosen.
import { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Daemon } from '../e2e/lib/holm.mjs';
import { languages } from './programs.mjs';

const words = (text) => (text ?? '').split(' ').filter(Boolean);
const { HOLM_LANGUAGES, HOLM_LANGUAGES_UNBUILT, HOLM_LANGUAGES_URL } = process.env;
const table = Object.fromEntries(languages().map((language) => [language.name, language]));
const rows = (text) => words(text).map((name) => table[name]);

export const chosen = rows(HOLM_LANGUAGES);
export const unbuilt = rows(HOLM_LANGUAGES_UNBUILT);

// An image's first boot may be waited for by several requests.
const PATIENCE_MS = 900_000;
// Of a program that should end by itself, whatever else the host does.
const TIMEOUT_S = 300;

let daemon, url;

// To be called once by a file of tests.
export function useService() {
  before(async () => {
    if (HOLM_LANGUAGES_URL) {
      url = HOLM_LANGUAGES_URL.replace(/\/$/, '');
      return;
    }
    daemon = await Daemon.start({ set: { 'network.enabled': 'no' } });
    ({ url } = daemon);
  });
  after(async () => {
    if (!daemon) return;
    assert.equal(await daemon.stop(), 0);
    assert.deepEqual(daemon.leftovers(), []);
  });
}

// The answer's JSON; as long as the daemon says "later", later.
export async function execute(language, code, more = {}) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await fetch(`${url}/api/v1/execute`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ language: language.name, code, timeout: TIMEOUT_S, ...more }),
    });
    const text = await answer.text();
    if (answer.status === 200) return JSON.parse(text);
    const later = Number(answer.headers.get('retry-after'));
    if (answer.status !== 503 || !later || Date.now() > end) {
      throw new Error(`${language.name}: ${answer.status} ${text}\n${daemon ? daemon.log.slice(-2000) : ''}`);
    }
    await new Promise((resolve) => { setTimeout(resolve, Math.min(later, 5) * 1000); });
  }
}
