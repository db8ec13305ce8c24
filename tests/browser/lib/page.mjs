// SPDX-License-Identifier: Apache-2.0
// A browser with the dashboard of a holmd on the fake engine.
//
// Each file of tests has one daemon and one browser; each test gets a context of its own, already
// signed in unless it says otherwise. Whatever a page does, it must not ask another host for
// anything, log an error or throw: that fails the test that opened it.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

import { Daemon, dropData, makeData } from '../../component/daemon.mjs';

const CHROMIUM = process.env.HOLM_CHROMIUM ?? '/usr/bin/chromium';
export const DIST = resolve(process.env.HOLM_WEB ?? fileURLToPath(new URL('../../../web/dist', import.meta.url)));
// How long anything may take; none of it is waited for when all is well.
const PATIENCE_MS = 20_000;
// A VM may be gone, or off, by the time the page asks what it uses. Browsers log what is no success.
const TOO_LATE = /status of 40[49] .*\/vms\/[0-9a-f-]+\/stats$/;

export const EMAIL = 'admin@example.com', PASSWORD = 'correct horse battery';
export const WIDE = { width: 1280, height: 800 }, NARROW = { width: 390, height: 844 };
// The screens on which each page is looked at; accessible() looks at it light and dark.
export const SCREENS = [WIDE, NARROW];

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// What the tests of one file share: call it at the head of the file. With `start`, which resolves to
// {url, key, stop}, it is another daemon than a fake one.
export function setUp({ set = {}, start } = {}) {
  const t = { url: '', key: '' };
  let daemon, browser, dir, stop;

  before(async () => {
    assert.ok(existsSync(join(DIST, 'index.html')), `${DIST} is not built: npm run build in web/`);
    ({ url: t.url, key: t.key, stop } = await (start ?? startDaemon)());
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  });
  async function startDaemon() {
    dir = makeData();
    daemon = new Daemon(dir, { set: { 'paths.web_dir': DIST, ...set }, env: { ADMIN_EMAIL: EMAIL, ADMIN_PASSWORD: PASSWORD } });
    await daemon.ready();
    await daemon.settled();
    t.daemon = daemon;
    return { url: daemon.url, key: readFileSync(join(dir, 'admin.key'), 'utf8').trim(), stop: () => daemon.stop() };
  }
  after(async () => {
    await browser?.close();
    if (t.url) await removeAll();
    await stop?.();
    if (dir) dropData(dir);
  });

  // The native API, with the administrator's key.
  t.api = async (method, path, body) => {
    const res = await fetch(`${t.url}/native/v1${path}`, {
      method, headers: { 'X-API-Key': t.key, 'Content-Type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await res.text();
    assert.ok(res.ok, `${method} ${path}: ${res.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
  t.launch = async (name, more = {}) => {
    let vm = await t.api('POST', '/vms', { name, image: 'bash', ...more });
    while (vm.status === 'provisioning') {
      await new Promise((r) => { setTimeout(r, 20); });
      vm = await t.api('GET', `/vms/${vm.id}`);
    }
    assert.equal(vm.status, 'running');
    return vm;
  };
  async function removeAll() {
    for (const vm of await t.api('GET', '/vms').catch(() => [])) await t.api('DELETE', `/vms/${vm.id}`).catch(() => {});
  }

  // One session for all tests that only need to be signed in.
  let state;
  async function session() {
    if (!state) {
      const context = await browser.newContext({ baseURL: t.url });
      const res = await context.request.post('/rds/auth/login', { data: { apiKey: t.key } });
      assert.equal(res.status(), 200, await res.text());
      state = await context.storageState();
      await context.close();
    }
    return state;
  }

  // `body` gets a page. `allowed` are patterns of console errors that the test provokes.
  t.test = (name, options, body) => {
    if (!body) [options, body] = [{}, options];
    const { viewport = WIDE, colorScheme = 'light', signedIn = true, javaScriptEnabled = true, allowed = [], path, timeout = 60_000 } = options;
    test(name, { timeout }, async () => {
      const context = await browser.newContext({
        baseURL: t.url, viewport, colorScheme, javaScriptEnabled, reducedMotion: 'reduce', acceptDownloads: true, hasTouch: viewport === NARROW,
        storageState: signedIn ? await session() : undefined,
      });
      context.setDefaultTimeout(PATIENCE_MS);
      const wrong = [], host = new URL(t.url).host;
      context.on('request', (r) => {
        const to = new URL(r.url());
        if (!['data:', 'blob:'].includes(to.protocol) && to.host !== host) wrong.push(`asked ${r.url()}`);
      });
      const watch = (page) => {
        page.on('pageerror', (e) => wrong.push(`threw ${e.stack}`));
        page.on('dialog', (d) => { wrong.push(`dialog: ${d.message()}`); void d.dismiss(); });
        page.on('console', (m) => { if (m.type() === 'error') wrong.push(`console: ${m.text()} ${m.location().url}`); });
        page.on('websocket', (w) => { if (new URL(w.url()).host !== host) wrong.push(`asked ${w.url()}`); });
      };
      context.on('page', watch);
      const page = await context.newPage();
      try {
        if (path !== undefined) await page.goto(path);
        await body(page, context);
        const left = wrong.filter((w) => ![TOO_LATE, ...allowed].some((a) => a.test(w)));
        assert.deepEqual(left, []);
      } catch (e) {
        if (process.env.HOLM_SHOTS) await page.screenshot({ path: join(process.env.HOLM_SHOTS, `${name.replace(/\W+/g, '-')}.png`) }).catch(() => {});
        throw e;
      } finally {
        await context.close();
      }
    });
  };
  return t;
}

// The rules of axe-core, and those among them that look at colours.
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const COLOURS = ['color-contrast', 'link-in-text-block'];

async function broken(page, runOnly) {
  return page.evaluate(async (only) => {
    const result = await window.axe.run(document, { runOnly: only, resultTypes: ['violations'] });
    return result.violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.slice(0, 4).map((n) => `${n.target} ${n.failureSummary}`).join('\n  ')}`);
  }, runOnly);
}

// As when the user's system changes its colours. They do so over some frames, however short that is made.
async function paint(page, colorScheme) {
  const was = await page.evaluate(() => getComputedStyle(document.body).color);
  await page.emulateMedia({ colorScheme });
  await page.waitForFunction((ink) => getComputedStyle(document.body).color !== ink &&
    document.getAnimations().every((a) => a.playState !== 'running'), was);
}

// No rule is broken when it is light, and none about colours when it is dark: nothing else differs then.
export async function accessible(page) {
  await page.evaluate(axeSource);
  assert.deepEqual(await broken(page, RULES), []);
  await paint(page, 'dark');
  assert.deepEqual((await broken(page, COLOURS)).map((b) => `dark: ${b}`), []);
  await paint(page, 'light');
}

// Nothing is wider than the screen.
export async function fits(page) {
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(wide <= screen, `the page is ${wide} wide on a screen of ${screen}`);
}

// What the terminal that is looked at shows: a line a row, without the blanks behind it.
const rowsOf = () => [...document.querySelectorAll('.term:not([hidden]) .xterm-rows > div')]
  .map((row) => row.textContent.replace(/\u00a0/g, ' ').trimEnd()).join('\n');

export const terminalText = (page) => page.evaluate(rowsOf);

// Until that fits the pattern.
export async function terminalShows(page, pattern) {
  const is = new Function('p', `return new RegExp(p.source, p.flags).test((${rowsOf})())`);
  try {
    await page.waitForFunction(is, { source: pattern.source, flags: pattern.flags });
  } catch (e) {
    throw new Error(`the terminal never showed ${pattern}:\n${await terminalText(page)}`, { cause: e });
  }
}
