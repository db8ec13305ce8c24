// SPDX-License-Identifier: Apache-2.0
// /docs and /swagger in a browser, as the daemon serves them.

import assert from 'node:assert/strict';
import { caller } from './lib/call.mjs';
import { SCREENS, accessible, fits, setUp } from './lib/page.mjs';

const t = setUp();
const call = caller(t);
const signedOut = { signedIn: false };

// With a long text, tables, code, and what a script draws.
const READING = ['/docs/', '/docs/guide.html', '/docs/reference-rds.html'];

t.test('pages can be read without a script', { ...signedOut, path: '/docs', javaScriptEnabled: false }, async (page) => {
  assert.match(page.url(), /\/docs\/$/);
  await page.getByRole('heading', { level: 1, name: 'Holm' }).waitFor();
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'First steps with HTTP' }).click();
  await page.getByRole('heading', { level: 1, name: 'First steps with HTTP' }).waitFor();
  await page.getByRole('complementary').getByRole('link', { name: 'Snapshots' }).click();
  assert.match(page.url(), /guide\.html#snapshots$/);
  assert.equal(await page.getByRole('combobox').count(), 0);
});

t.test('the search is walked with the keyboard', { ...signedOut, path: '/docs/' }, async (page) => {
  await page.keyboard.press('/');
  const box = page.getByRole('combobox', { name: 'Search the documentation' });
  await box.fill('values instead');
  await page.getByRole('option').first().waitFor();
  assert.match(await page.getByRole('option').first().innerText(), /Values instead of text/);
  assert.equal(await box.getAttribute('aria-expanded'), 'true');
  await page.keyboard.press('Escape');
  assert.equal(await page.getByRole('option').count(), 0);
  await box.fill('snapshot');
  await page.getByRole('option').nth(1).waitFor();
  await page.keyboard.press('ArrowDown');
  const second = page.getByRole('option').nth(1);
  assert.equal(await second.getAttribute('aria-selected'), 'true');
  const address = await second.getByRole('link').getAttribute('href');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**${address}`);
  await box.fill('zzzzqqqq');
  await page.getByText('Nothing found').waitFor();
});

t.test('what is searched for stays text', { ...signedOut, path: '/docs/' }, async (page) => {
  await page.getByRole('combobox').fill('<img src=x onerror=alert(1)> (');
  await page.getByText('Nothing found').waitFor();
  assert.equal(await page.locator('#holm-results img').count(), 0);
});

t.test('code is copied, and the theme is kept', { ...signedOut, path: '/docs/guide.html' }, async (page, context) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const block = page.locator('.code').first();
  await block.hover();
  await block.getByRole('button', { name: 'Copy' }).click();
  await block.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await block.locator('code').textContent());
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: 'Change to the dark theme' }).click();
  const dark = await background();
  assert.notEqual(dark, light);
  await page.goto('/docs/rds.html');
  assert.equal(await background(), dark);
});

t.test('the reference has every call of every document', signedOut, async (page) => {
  const { documents } = await call('GET', '/openapi');
  assert.ok(documents.some((d) => d.name === 'rds'));
  for (const { name, url } of documents) {
    const { paths } = await call('GET', url);
    const operations = Object.values(paths).flatMap((item) => Object.values(item)).flatMap((op) => op.operationId ?? []);
    await page.goto(`/docs/reference-${name}.html`);
    await page.locator('section.call').first().waitFor();
    const shown = await page.locator('section.call h3').evaluateAll((all) => all.map((h) => h.id));
    assert.deepEqual(shown.sort(), operations.sort(), name);
    const named = await page.locator('section.call h3 code').allTextContents();
    assert.deepEqual([...new Set(named)].sort(), Object.keys(paths).sort(), name);
  }
});

t.test("the reference's examples name this daemon", { ...signedOut, path: '/docs/reference-rds.html' }, async (page) => {
  await page.locator('section.call').first().waitFor();
  const examples = await page.locator('section.call .code code').allTextContents();
  assert.ok(examples.length > 15);
  for (const e of examples) assert.ok(e.includes(`'${t.url}/rds/`), e);
  const launch = examples.find((e) => e.includes('-X POST') && e.includes("/rds/v1/vms'"));
  assert.match(launch, /-H "X-API-Key: \$KEY"/);
  assert.deepEqual(Object.keys(JSON.parse(/-d '(.*)'/.exec(launch)[1])), ['cpu', 'memMb', 'allowIps']);
});

t.test('a document that cannot be had is said, with what to do', { ...signedOut, path: '/', allowed: [/status of (401|503)/] }, async (page) => {
  await page.route('**/openapi/rds.json', (r) => r.fulfill({ status: 503, body: '{}' }));
  await page.goto('/docs/reference-rds.html');
  await page.getByRole('alert').getByText('the daemon answered 503').waitFor();
});

// --- The explorer ---

async function execute(page, path) {
  const call = page.locator('.opblock-get', { has: page.locator(`[data-path="${path}"]`) }).first();
  await call.locator('.opblock-summary-control').click();
  const answer = page.waitForResponse((r) => new URL(r.url()).pathname === path);
  await call.getByRole('button', { name: 'Execute' }).click();
  await call.locator('.live-responses-table .response-col_status').first().waitFor();
  return answer;
}

t.test('the explorer calls with the session', { path: '/swagger' }, async (page) => {
  await page.getByText('Signed in as').waitFor();
  assert.match(page.url(), /\/swagger\/$/);
  assert.equal((await execute(page, '/v1/vms')).status(), 200);
});

t.test('the explorer calls with a key, and forgets it', { ...signedOut, path: '/swagger/?api=rds', allowed: [/status of 401/] }, async (page) => {
  await page.getByText('Nobody is signed in').waitFor();
  assert.equal((await execute(page, '/rds/v1/vms')).status(), 401);
  const authorize = async () => page.getByRole('button', { name: 'Authorize' }).first().click();
  await authorize();
  const field = page.locator('.auth-container', { hasText: 'X-API-Key' }).locator('input');
  await field.fill(t.key);
  await page.locator('.auth-container', { hasText: 'X-API-Key' }).getByRole('button', { name: 'Apply credentials' }).click();
  await page.locator('.auth-btn-wrapper').getByRole('button', { name: 'Close' }).first().click();
  const answer = page.waitForResponse((r) => new URL(r.url()).pathname === '/rds/v1/vms');
  await page.getByRole('button', { name: 'Execute' }).click();
  assert.equal((await answer).status(), 200);
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.ok(!kept.includes(t.key));
});

t.test('the explorer has every document', { path: '/swagger/' }, async (page) => {
  const { documents } = await call('GET', '/openapi');
  const links = page.getByRole('navigation', { name: 'APIs' }).getByRole('link');
  await links.first().waitFor();
  const shown = await links.evaluateAll((all) => all.map((a) => new URL(a.href).searchParams.get('api')));
  assert.deepEqual(shown, documents.map((d) => d.name));
  await links.last().click();
  await page.locator('.opblock').first().waitFor();
  assert.match(await links.last().getAttribute('aria-current'), /page/);
});

// --- How they look ---

for (const viewport of SCREENS) {
  t.test(`pages fit at ${viewport.width} px and are accessible`, { ...signedOut, viewport, allowed: [/status of 401/] }, async (page) => {
    for (const path of READING) {
      await page.goto(path);
      if (path.includes('reference')) {
        await page.locator('section.call').first().waitFor();
        await fits(page);
        // The calls are made alike, and looking at all of them takes long.
        await page.evaluate(() => document.querySelectorAll('section.call:nth-of-type(n + 6)').forEach((s) => s.remove()));
      }
      await fits(page);
      await accessible(page);
    }
    await page.goto('/swagger/?api=rds');
    await page.locator('.opblock').first().waitFor();
    await fits(page);
    // Swagger UI itself is as it is; this is about what is around it.
    await page.evaluate(() => {
      const title = document.createElement('h1');
      title.textContent = 'Explorer';
      document.querySelector('.swagger-ui').replaceWith(title);
    });
    await accessible(page);
  });
}
