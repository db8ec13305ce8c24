// SPDX-License-Identifier: Apache-2.0
// A real daemon on the fake engine, and Chromium to look at what it serves. What no page may do is watched on every
// page: errors on the console, requests to other hosts, scripts that the daemon's policy stops.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';
import { Daemon, dropData, makeData } from '../../component/daemon.mjs';

export const root = resolve(import.meta.dirname, '../../..');
export const dist = process.env.HOLM_WEB ?? join(root, 'web/dist');
export const EMAIL = 'admin@example.com';
export const PASSWORD = 'correct horse battery staple';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export class Site {
  static async start({ set = {} } = {}) {
    const site = new Site();
    site.dir = makeData();
    site.daemon = new Daemon(site.dir, {
      set: { 'paths.web_dir': dist, 'admin.email': EMAIL, 'admin.password': PASSWORD, 'rds.rate_limits': 'no', ...set },
    });
    try {
      await site.daemon.ready();
      await site.daemon.settled();
      site.url = site.daemon.url;
      site.key = readFileSync(join(site.dir, 'admin.key'), 'utf8').trim();
      site.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
    } catch (e) {
      await site.stop();
      throw e;
    }
    return site;
  }

  async stop() {
    await this.browser?.close();
    await this.daemon.stop();
    dropData(this.dir);
  }

  // The JSON of an answer that has to be a success.
  async api(method, path, body, key = this.key) {
    const res = await fetch(this.url + path, {
      method,
      headers: { 'x-api-key': key, ...(body !== undefined && { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await res.text();
    assert.ok(res.ok, `${method} ${path}: ${res.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  // A page of its own, signed in unless `signedIn` is false; closed, and judged, when `body` is done.
  async visit(path, body, { signedIn = true, allowed = [], ...context } = {}) {
    const c = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', baseURL: this.url, ...context });
    const wrong = [];
    c.on('console', (m) => {
      if (m.type() === 'error' && !allowed.some((a) => a.test(m.text()))) wrong.push(`${m.text()} (${m.location().url})`);
    });
    c.on('weberror', (e) => wrong.push(String(e.error())));
    c.on('request', (r) => {
      if (/^https?:|^wss?:/.test(r.url()) && new URL(r.url()).host !== new URL(this.url).host) wrong.push(`request to ${r.url()}`);
    });
    try {
      if (signedIn) {
        const res = await c.request.post('/rds/auth/login', { data: { email: EMAIL, password: PASSWORD }, headers: { origin: this.url } });
        assert.equal(res.status(), 200, await res.text());
      }
      const page = await c.newPage();
      page.setDefaultTimeout(15_000);
      await page.goto(path);
      await body(page, c);
    } finally {
      await c.close();
    }
    assert.deepEqual(wrong, []);
  }
}

// How far the page can be scrolled sideways; no page may.
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

// What axe finds wrong with the page as it is, a line each.
export async function violations(page, { exclude = [] } = {}) {
  // Not by a script element, which the daemon's policy would stop.
  await page.evaluate(readFileSync(axe, 'utf8'));
  const result = await page.evaluate(
    (without) => window.axe.run({ exclude: without }, { resultTypes: ['violations'] }), exclude.map((e) => [e]));
  return result.violations.flatMap((v) => v.nodes.map((n) => `${v.id} at ${n.target.join(' ')}: ${n.failureSummary}`));
}
