// SPDX-License-Identifier: Apache-2.0
// Signing in and out, and the frame around all pages.

import assert from 'node:assert/strict';

import { EMAIL, NARROW, PASSWORD, SCREENS, accessible, fits, setUp } from './lib/page.mjs';

const t = setUp();
const NO_SESSION = /status of 401/;

async function signIn(page) {
  await page.getByText('API key', { exact: true }).click();
  await page.getByRole('textbox', { name: 'API key' }).fill(t.key);
  await page.keyboard.press('Enter');
}

t.test('an API key signs in, and the page that was asked for comes', { signedIn: false, path: '/snapshots', allowed: [NO_SESSION] }, async (page) => {
  await signIn(page);
  await page.getByRole('heading', { level: 1, name: 'Snapshots' }).waitFor();
  const cookies = await page.context().cookies();
  const cookie = cookies.find((c) => c.name === 'rds_session');
  assert.ok(cookie.httpOnly);
  assert.equal(cookie.sameSite, 'Lax');
  assert.equal(await page.evaluate(() => document.cookie), '');
});

t.test('e-mail and password sign in', { signedIn: false, path: '/', allowed: [NO_SESSION] }, async (page) => {
  await page.getByLabel('E-mail address').fill(EMAIL);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
  assert.equal(new URL(page.url()).pathname, '/vms');
  await page.getByText(EMAIL).first().waitFor();
});

t.test('a wrong password and a wrong key are told apart', { signedIn: false, path: '/', allowed: [NO_SESSION] }, async (page) => {
  await page.getByLabel('E-mail address').fill(EMAIL);
  await page.getByLabel('Password').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'The e-mail address or the password is wrong.' }).waitFor();
  await page.getByText('API key', { exact: true }).click();
  await page.getByRole('textbox', { name: 'API key' }).fill('no such key');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'This key is not valid, or has been revoked.' }).waitFor();
  await page.getByRole('textbox', { name: 'API key' }).fill('');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'Enter an API key.' }).waitFor();
});

t.test('signing out ends the session for good', { signedIn: false, path: '/', allowed: [NO_SESSION] }, async (page) => {
  await signIn(page);
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
  const before = await page.context().cookies();
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to Holm' }).waitFor();
  assert.equal(await page.getByText('Your session has ended').count(), 0);
  await page.context().addCookies(before);
  await page.goto('/vms');
  await page.getByRole('heading', { name: 'Sign in to Holm' }).waitFor();
});

t.test('a session that is over says so, and the page comes back after it', { signedIn: false, path: '/', allowed: [NO_SESSION] }, async (page, context) => {
  await signIn(page);
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
  await context.clearCookies();
  await page.getByText('Your session has ended').waitFor(); // by the next look at the list
  await signIn(page);
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
});

t.test('a daemon that is gone is told, and its return too', { path: '/vms', allowed: [/ERR_FAILED|ERR_INTERNET_DISCONNECTED/] }, async (page, context) => {
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
  await context.setOffline(true);
  const banner = page.getByRole('alert').filter({ hasText: 'Holm cannot be reached. What' });
  await banner.waitFor();
  await context.setOffline(false);
  await page.getByRole('button', { name: 'Try now' }).click();
  await banner.waitFor({ state: 'detached' });
});

t.test('pages by keyboard: shortcuts, palette, help', { path: '/vms' }, async (page) => {
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await page.getByRole('heading', { level: 1, name: 'Snapshots' }).waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).getByText('Create a VM').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('Control+k');
  await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'combobox');
  await page.keyboard.type('images');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Images' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: 'Snapshots' }).waitFor();
});

t.test('the first tab stop skips the navigation', { path: '/vms' }, async (page) => {
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the page');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
});

t.test('colours are the system’s until one is chosen, and it stays chosen', { path: '/vms', colorScheme: 'dark' }, async (page) => {
  const background = () => page.evaluate(() => getComputedStyle(document.body.parentElement).backgroundColor);
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
  const dark = await background();
  await page.getByRole('button', { name: 'Light' }).click();
  await page.waitForFunction((was) => getComputedStyle(document.documentElement).backgroundColor !== was, dark);
  const light = await background();
  assert.notEqual(light, dark);
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
  assert.equal(await background(), light);
  await page.getByRole('button', { name: 'As the system' }).click();
  await page.waitForFunction((was) => getComputedStyle(document.documentElement).backgroundColor === was, dark);
});

t.test('the navigation slides in on a narrow screen', { path: '/vms', viewport: NARROW }, async (page) => {
  await page.getByRole('button', { name: 'Open navigation' }).click();
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'API keys' }).click();
  await page.getByRole('heading', { level: 1, name: 'API keys' }).waitFor();
  await page.getByRole('button', { name: 'Open navigation' }).click();
  await page.getByRole('button', { name: 'Close navigation' }).waitFor({ state: 'attached' });
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Open navigation' }).waitFor();
});

t.test('the explorer’s login leads back to it', { signedIn: false, path: '/swagger/?api=rds', allowed: [NO_SESSION] }, async (page) => {
  await page.getByRole('link', { name: 'sign in' }).click();
  await page.getByRole('heading', { name: 'Sign in to Holm' }).waitFor();
  await signIn(page);
  await page.getByText('Signed in as').waitFor();
  assert.equal(page.url(), `${t.url}/swagger/?api=rds`);
});

t.test('the login leads to no other host, and past itself who is signed in', async (page) => {
  const leads = async (next, to) => {
    await page.goto(`/login${next === undefined ? '' : `?next=${encodeURIComponent(next)}`}`);
    await page.waitForURL(t.url + to);
    await page.getByRole('heading', { level: 1 }).waitFor();
  };
  await leads('/snapshots?id=x#y', '/snapshots?id=x#y');
  await leads('/docs/guide.html#snapshots', '/docs/guide.html#snapshots');
  for (const next of [undefined, '', '/login', '/login/?next=/login', 'https://example.com/vms', '//example.com/docs/', '/\\example.com', '/.//example.com/docs/',
    'javascript:document.title=1', 'http://[', '\t//example.com'])
    await leads(next, '/vms');
});

t.test('an address of run-dat-sheesh’s own page is one here', async (page) => {
  for (const path of ['/console', '/console/']) {
    await page.goto(path);
    await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
    await page.waitForURL('**/vms');
  }
});

t.test('an address that is no page says so', { path: '/no/such/page' }, async (page) => {
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
});

const PAGES = ['/vms', '/overview', '/snapshots', '/images', '/activity', '/keys', '/webhooks', '/accounts'];

// With next to nothing on them; pages.test.mjs looks at them full, and on a wide screen too.
t.test('every page is accessible, and no wider than the screen', { path: '/vms', viewport: NARROW }, async (page) => {
  for (const path of PAGES) {
    await page.goto(path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.locator('.loading').first().waitFor({ state: 'detached' });
    await fits(page);
    await accessible(page);
  }
});

for (const viewport of SCREENS) {
  t.test(`the login, too, at ${viewport.width} px`, { signedIn: false, path: '/login', viewport, allowed: [NO_SESSION] }, async (page) => {
    await page.getByRole('heading', { name: 'Sign in to Holm' }).waitFor();
    await page.getByLabel('Password').waitFor();
    await fits(page);
    await accessible(page);
    await page.getByText('API key', { exact: true }).click();
    await page.keyboard.press('Enter');
    await page.getByText('Enter an API key.').waitFor();
    await fits(page);
    await accessible(page);
  });
}
