// SPDX-License-Identifier: Apache-2.0
// The pages about snapshots, images, keys, activity, webhooks, accounts and the host, against a real daemon.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { caller } from './lib/call.mjs';
import { SCREENS, accessible, fits, setUp } from './lib/page.mjs';

const HOSTILE = '<img src=x onerror="document.title=1">';

const dir = mkdtempSync(join(tmpdir(), 'holm-browser-'));
const servers = [];
after(() => {
  for (const s of servers) {
    s.close();
    s.closeAllConnections();
  }
  rmSync(dir, { recursive: true, force: true });
});

const t = setUp({ set: { 'rds.rate_limits': 'no' } });
const call = caller(t);

const launch = (body) => call('POST', '/v1/vms', { image: 'bash', ...body });
const snapshot = (vmId, name) => call('POST', '/v1/snapshots', { vmId, name });
const removeVm = (id) => call('DELETE', `/v1/vms/${id}`);

// The button of a dialog, which may be named like one of the page behind it.
const inDialog = (page, name) => page.getByRole('dialog').getByRole('button', { name, exact: true });

async function act(page, row, item) {
  await page.getByRole('button', { name: `Actions for ${row}` }).click();
  await page.getByRole('menuitem', { name: item }).click();
}

const row = (page, text) => page.getByRole('row').filter({ hasText: text });

// --- Overview ---

t.test('the overview shows the host and what happened', async (page) => {
  const vm = await launch({ name: 'seen-in-overview' });
  await page.goto('/overview');
  for (const tile of ['CPU', 'Memory', 'Storage']) await page.getByRole('region', { name: tile }).getByRole('meter').waitFor();
  await page.getByRole('link', { name: /1 VM is active/ }).waitFor();
  await page.getByText('seen-in-overview').first().waitFor();
  const { version } = await call('GET', '/rds/v1/admin/overview');
  await page.getByText(version, { exact: true }).waitFor();
  await page.getByRole('link', { name: /snapshots?$/ }).last().click();
  await page.getByRole('heading', { level: 1, name: 'Snapshots' }).waitFor();
  await removeVm(vm.id);
});

// --- Snapshots ---

// lab -> base -> child, lab -> lab-fork; lab is gone in the end.
async function family() {
  const lab = await launch({ name: 'lab' });
  const base = await snapshot(lab.id, 'base');
  const child = await launch({ name: 'child', image: undefined, snapshotId: base.id });
  const { forks } = await call('POST', `/v1/vms/${lab.id}/fork`, { count: 1, name: 'lab-fork' });
  return { lab, base, child, fork: forks[0].vm };
}

async function removeAll() {
  for (const kind of ['vms', 'snapshots'])
    for (const { id } of await call('GET', `/v1/${kind}`)) await call('DELETE', `/v1/${kind}/${id}`);
}

// What a reader with a screen reader hears of the rows: "level name", "+" and "-" when they can be closed or opened.
const rowsOf = (page) => page.getByRole('treeitem').evaluateAll((all) => all.map((li) => {
  const expanded = li.getAttribute('aria-expanded');
  return `${li.getAttribute('aria-level')}${expanded === 'true' ? '+' : expanded === 'false' ? '-' : ' '}${li.querySelector('.tree-name').textContent}`;
}));

t.test('the tree of snapshots is walked with the keyboard', async (page) => {
  await family();
  await page.goto('/snapshots');
  const tree = page.getByRole('tree');
  await tree.waitFor();
  assert.deepEqual(await rowsOf(page), ['1+lab', '2+base', '3 child', '2 lab-fork']);
  const at = () => page.evaluate(() => document.activeElement.querySelector('.tree-name')?.textContent);
  await tree.getByRole('treeitem').first().focus();
  const keys = async (...all) => { for (const k of all) await page.keyboard.press(k); return at(); };
  assert.equal(await keys('ArrowDown'), 'base');
  assert.equal(await keys('ArrowRight'), 'child');
  assert.equal(await keys('ArrowLeft'), 'base');
  assert.equal(await keys('ArrowLeft'), 'base');
  assert.deepEqual(await rowsOf(page), ['1+lab', '2-base', '2 lab-fork']);
  assert.equal(await keys('ArrowRight', 'End'), 'lab-fork');
  assert.equal(await keys('Home'), 'lab');
  assert.equal(await keys('b'), 'base');
  await page.getByRole('complementary', { name: 'What is selected' }).getByRole('heading', { name: 'base' }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL('**/vms?create=1&snapshot=*');
  await removeAll();
});

t.test('ancestors that are gone keep their place in the tree', async (page) => {
  const { lab, base } = await family();
  await removeVm(lab.id);
  await page.goto('/snapshots');
  await page.getByRole('tree').waitFor();
  assert.deepEqual(await rowsOf(page), ['1+Deleted VM', '2+base', '3 child', '2 lab-fork']);
  await call('DELETE', `/v1/snapshots/${base.id}`);
  // What was deleted elsewhere is told by an event.
  await page.getByRole('treeitem', { name: /Deleted snapshot/ }).waitFor();
  assert.deepEqual((await rowsOf(page)).sort(), ['1+Deleted VM', '1+Deleted snapshot', '2 child', '2 lab-fork'].sort());
  await removeAll();
});

t.test('snapshots are renamed, taken, filtered and deleted', async (page) => {
  const { lab, base } = await family();
  await snapshot(lab.id, 'other');
  await page.goto('/snapshots');
  await page.getByRole('treeitem', { name: /base/ }).click();
  await page.getByRole('button', { name: 'Rename' }).click();
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill(HOSTILE);
  await inDialog(page, 'Rename').click();
  await page.getByRole('treeitem', { name: HOSTILE }).waitFor();
  assert.equal((await call('GET', `/v1/snapshots/${base.id}`)).name, HOSTILE);
  await page.getByRole('searchbox').fill('child');
  assert.deepEqual(await rowsOf(page), ['1+lab', `2+${HOSTILE}`, '3 child']);
  await page.getByRole('searchbox').fill('');
  await page.getByRole('treeitem', { name: /^ *lab/ }).first().click();
  await page.getByRole('button', { name: 'Snapshot', exact: true }).click();
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('third');
  await inDialog(page, 'Take it').click();
  await page.getByRole('treeitem', { name: /third/ }).waitFor();
  await page.getByText('List', { exact: true }).click();
  await page.getByLabel('Select all: Snapshots').check();
  await page.getByRole('region', { name: 'Selected' }).getByRole('button', { name: 'Delete' }).click();
  await inDialog(page, 'Delete 3 snapshots').click();
  await page.getByText('No snapshots yet').waitFor();
  assert.deepEqual(await call('GET', '/v1/snapshots'), []);
  await removeAll();
});

// --- Keys ---

t.test('a key is created, shown once, used and revoked', { path: '/keys' }, async (page, context) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Create key' }).click();
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('deploy');
  await page.getByLabel('Expires').selectOption('7');
  await inDialog(page, 'Create').click();
  const dialog = page.getByRole('dialog', { name: 'The key deploy' });
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await dialog.getByText('It was not copied yet').waitFor();
  await dialog.getByRole('button', { name: 'Copy', exact: true }).click();
  const key = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(key, /^rds_/);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await row(page, 'deploy').getByText('Expires soon').waitFor();
  assert.ok(!(await page.content()).includes(key));
  assert.deepEqual(await call('GET', '/v1/vms', undefined, key), []);

  await act(page, 'deploy', 'Revoke');
  await inDialog(page, 'Revoke the key').click();
  await row(page, 'deploy').waitFor({ state: 'detached' });
  const res = await fetch(`${t.url}/v1/vms`, { headers: { 'x-api-key': key } });
  assert.equal(res.status, 401);
  await page.getByText('All', { exact: true }).click();
  await row(page, 'deploy').getByText('Revoked', { exact: true }).waitFor();
});

// --- Activity ---

t.test('activity comes in as it happens, is filtered, and goes back', { path: '/activity' }, async (page) => {
  await page.getByText('Live', { exact: true }).waitFor();
  const vm = await launch({ name: 'just-now' });
  await page.getByRole('listitem').filter({ hasText: 'just-now' }).first().waitFor();
  await page.getByLabel('Which events').selectOption('session.');
  await page.getByRole('listitem').filter({ hasText: 'session.login' }).first().waitFor();
  assert.equal(await page.getByRole('listitem').filter({ hasText: 'just-now' }).count(), 0);
  await page.getByLabel('Which events').selectOption('');
  await page.getByRole('button', { name: 'Show details' }).first().click();
  await page.locator('.feed-detail').getByText('"entityId"').waitFor();
  await page.getByRole('searchbox').fill('just-now');
  await page.getByRole('link', { name: /just-now/ }).first().click();
  await page.waitForURL(`**/vms/${vm.id}`);
  await removeVm(vm.id);
});

t.test('older activity is loaded on demand', async (page) => {
  const { id } = await launch({ name: 'renamed-0' });
  for (let i = 1; i <= 110; i++) await call('PATCH', `/v1/vms/${id}`, { name: `renamed-${i}` });
  await page.goto('/activity');
  await page.getByRole('button', { name: 'Load older' }).click();
  await page.getByText('This is the first that is kept.').waitFor();
  const lines = await page.getByRole('main').getByRole('listitem').count();
  assert.ok(lines > 110, `${lines}`);
  await removeVm(id);
});

// --- Webhooks ---

// Who is told: answers with `status`, and says what came.
async function listener(status) {
  const got = [];
  const server = createServer((rq, res) => {
    const parts = [];
    rq.on('data', (p) => parts.push(p)).on('end', () => {
      got.push({ headers: rq.headers, body: Buffer.concat(parts).toString() });
      res.writeHead(status).end();
      server.emit('told');
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { got, server, url: `http://127.0.0.1:${server.address().port}/hook` };
}

t.test('a webhook is added, told of events, changed and deleted', async (page) => {
  const { got, server, url } = await listener(204);
  await page.goto('/webhooks');
  await page.getByRole('button', { name: 'Add webhook' }).first().click();
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('ci');
  await page.getByLabel('URL').fill('ftp://nowhere');
  await page.getByText('It must begin with http').waitFor();
  assert.ok(await inDialog(page, 'Add').isDisabled());
  await page.getByLabel('URL').fill(url);
  await page.getByText('Only some').click();
  await page.getByLabel('vm.created').check();
  await inDialog(page, 'Add').click();
  const dialog = page.getByRole('dialog', { name: 'The secret of ci' });
  const secret = await dialog.getByLabel('Webhook secret').innerText();
  await dialog.getByRole('button', { name: 'Done' }).click();
  await dialog.getByRole('button', { name: 'Close without copying' }).click();

  const told = once(server, 'told');
  const vm = await launch({ name: 'tell-me' });
  await told;
  const signature = createHmac('sha256', secret).update(got[0].body).digest('hex');
  assert.equal(got[0].headers['x-holm-signature'], `sha256=${signature}`);
  assert.match(got[0].body, /tell-me/);
  await removeVm(vm.id);
  await page.reload();
  await row(page, 'ci').getByText('Delivered, 204').waitFor();

  await act(page, 'ci', 'Disable');
  await row(page, 'ci').getByText('Disabled').waitFor();
  await act(page, 'ci', 'Change');
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill(HOSTILE);
  await inDialog(page, 'Save').click();
  await row(page, HOSTILE).waitFor();
  await act(page, HOSTILE, 'Delete');
  await inDialog(page, 'Delete the webhook').click();
  await page.getByText('No webhooks yet').waitFor();
  assert.equal(got.length, 1);
});

for (const viewport of SCREENS) {
  t.test(`every type of event can be seen and chosen at ${viewport.width} px`, { path: '/webhooks', viewport }, async (page) => {
    await page.getByRole('button', { name: 'Add webhook' }).first().click();
    await page.getByText('Only some').click();
    const types = await call('GET', '/rds/v1/admin/webhooks/event-types');
    await page.getByLabel(types.at(-1)).check();
    const [wide, box] = await page.locator('.type-choice').evaluate((e) => [e.scrollWidth, e.clientWidth]);
    assert.ok(wide <= box, `${wide} wide in a box of ${box}`);
    assert.equal(await page.locator('.type-choice code').count(), types.length);
    await accessible(page);
  });
}

t.test('a delivery that fails says why', async (page) => {
  const { server, url } = await listener(500);
  const hook = await call('POST', '/rds/v1/admin/webhooks', { name: 'broken', url });
  const told = once(server, 'told');
  const vm = await launch({ name: 'untold' });
  await told;
  await page.goto('/webhooks');
  await row(page, 'broken').getByText(/Failed, 500/).waitFor();
  await call('DELETE', `/rds/v1/admin/webhooks/${hook.id}`);
  await removeVm(vm.id);
});

// --- Accounts ---

const WITH_ACCOUNTS = { path: '/accounts', allowed: [/status of 409/] };

t.test('an account is added with quotas, gets a key, is changed and deleted', WITH_ACCOUNTS, async (page) => {
  await row(page, 'Administrator').getByText('You').waitFor();
  await page.getByRole('button', { name: 'Add account' }).click();
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('team');
  await page.getByRole('textbox', { name: 'vCPUs' }).fill('1.5');
  await page.getByText('A whole number, or nothing.').waitFor();
  await page.getByRole('textbox', { name: 'vCPUs' }).fill('4');
  await page.getByRole('textbox', { name: 'Snapshots' }).fill('2');
  await inDialog(page, 'Add').click();
  await row(page, 'team').getByText('0 of 4').waitFor();

  await act(page, 'team', 'Create a key for it');
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('theirs');
  await inDialog(page, 'Create').click();
  const dialog = page.getByRole('dialog', { name: 'The key theirs' });
  const key = await dialog.getByLabel('API key').innerText();
  await dialog.getByRole('button', { name: 'Done' }).click();
  await dialog.getByRole('button', { name: 'Close without copying' }).click();
  assert.equal((await call('GET', '/v1/org/quotas', undefined, key)).limits.vcpu, 4);

  const { id } = await call('POST', '/v1/vms', { image: 'bash' }, key);
  await act(page, 'team', 'Delete');
  await inDialog(page, 'Delete the account').click();
  await page.getByRole('dialog').getByRole('alert').waitFor(); // it has a VM
  await inDialog(page, 'Cancel').click();
  await call('DELETE', `/v1/vms/${id}`, undefined, key);

  await row(page, 'team').click();
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill(HOSTILE);
  await page.getByRole('textbox', { name: 'vCPUs' }).fill('');
  await inDialog(page, 'Save').click();
  await row(page, HOSTILE).waitFor();
  assert.equal((await call('GET', '/v1/org/quotas', undefined, key)).limits.vcpu, 0);
  await act(page, HOSTILE, 'Delete');
  await inDialog(page, 'Delete the account').click();
  await row(page, HOSTILE).waitFor({ state: 'detached' });
});

t.test('who is no administrator has pages of their own, and no others', { signedIn: false, allowed: [/status of 40[13]/] }, async (page, context) => {
  const account = await call('POST', '/v1/accounts', { name: 'guest' });
  const { key } = await call('POST', '/v1/keys', { accountId: account.id, name: 'theirs' });
  const vm = await launch({ name: 'of-the-administrator' });
  await snapshot(vm.id, 'not-theirs');
  assert.equal((await context.request.post('/rds/auth/login', { data: { apiKey: key } })).status(), 200);
  await page.goto('/snapshots');
  await page.getByText('No snapshots or forks yet').waitFor();
  await page.getByRole('link', { name: 'API keys' }).click();
  await row(page, 'theirs').waitFor();
  await page.getByRole('link', { name: 'Images' }).click();
  await row(page, 'Default').waitFor();
  for (const name of ['Overview', 'Activity', 'Webhooks', 'Accounts'])
    assert.equal(await page.getByRole('link', { name, exact: true }).count(), 0, name);
  await page.goto('/accounts');
  await page.getByRole('alert').waitFor();
  await removeAll();
  await call('DELETE', `/v1/accounts/${account.id}`);
});

// --- Images ---

// A real kernel and a file system of this size, as somebody would bring them.
function imageFiles() {
  const kernel = join(process.env.HOLM_DATA ?? '/var/lib/holm', 'kernel/vmlinuz');
  const rootfs = join(dir, 'rootfs.ext4'), bad = join(dir, 'bad.ext4');
  writeFileSync(rootfs, '');
  truncateSync(rootfs, 16 << 20);
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-F', rootfs], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
  writeFileSync(bad, 'this is no file system\n'.repeat(4096));
  return { kernel, rootfs, bad };
}

t.test('an image is added and uploaded; what is wrong with a file is said', { allowed: [/status of 400/] }, async (page) => {
  const { kernel, rootfs, bad } = imageFiles();
  await page.goto('/images');
  await row(page, 'Default').waitFor();
  assert.ok(await page.getByText('Built in').count() >= 6);
  await page.getByRole('button', { name: 'Add image' }).click();
  await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('mine');
  await page.getByLabel('Description').fill('An image of my own');
  await page.getByLabel('Kernel').setInputFiles(kernel);
  await page.getByLabel('Root file system').setInputFiles(bad);
  await inDialog(page, 'Add and upload').click();
  const uploads = page.getByRole('list', { name: 'Uploads' });
  await uploads.getByRole('alert').filter({ hasText: /ext4/ }).waitFor();
  await row(page, 'mine').getByText('Needs root file system', { exact: true }).waitFor();

  await uploads.getByRole('button', { name: 'Choose a file' }).click();
  await page.getByLabel('Root file system').setInputFiles(rootfs);
  await inDialog(page, 'Upload').click();
  await uploads.waitFor({ state: 'detached' });
  await row(page, 'mine').getByText('16 MiB').waitFor();
  const { hasKernel, hasRootfs } = (await call('GET', '/rds/v1/images')).find((i) => i.name === 'mine');
  assert.ok(hasKernel && hasRootfs);

  await act(page, 'mine', 'Make it the default');
  await row(page, 'mine').getByText('Default').waitFor();
  await act(page, 'mine', 'Delete');
  await inDialog(page, 'Delete the image').click();
  await row(page, 'mine').waitFor({ state: 'detached' });
  await row(page, 'Default').waitFor(); // one of Holm's own again
});

t.test('an upload shows how far it is, goes on while other pages are looked at, and is cancelled', async (page, context) => {
  const large = join(dir, 'large.ext4');
  writeFileSync(large, '');
  truncateSync(large, 64 << 20);
  await call('POST', '/rds/v1/images', { name: 'slow', description: HOSTILE });
  await page.goto('/images');
  const devtools = await context.newCDPSession(page);
  await act(page, 'slow', 'Upload files');
  await page.getByLabel('Root file system').setInputFiles(large);
  await devtools.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 2e6 });
  await inDialog(page, 'Upload').click();
  const bar = page.getByRole('progressbar', { name: 'Root file system of slow' });
  await bar.waitFor();
  await page.waitForFunction(() => Number(document.querySelector('[role=progressbar]')?.ariaValueNow) > 0);
  await page.getByText(/of 64 MiB, .*\/s, .* left/).waitFor();
  await page.getByRole('link', { name: 'API keys' }).click();
  await page.getByRole('heading', { level: 1, name: 'API keys' }).waitFor();
  await page.getByRole('link', { name: 'Images' }).click();
  await bar.waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Cancelled; what was there before is still there.').waitFor();
  await page.getByRole('button', { name: 'Close message' }).click();
  await act(page, 'slow', 'Delete');
  await inDialog(page, 'Delete the image').click();
  await row(page, 'slow').waitFor({ state: 'detached' });
});

// --- All of them ---

const ALL = ['/vms', '/overview', '/snapshots', '/images', '/keys', '/activity', '/webhooks', '/accounts'];

t.test('pages say when they cannot be loaded, and try again', { path: '/keys', allowed: [/status of 500/, /ERR_FAILED/] }, async (page) => {
  await page.getByRole('table').waitFor();
  await page.route('**/rds/v1/admin/**', (r) => (r.request().url().endsWith('/events') ? r.abort()
    : r.fulfill({ status: 500, contentType: 'application/json', body: '{"message": "it broke"}' })));
  for (const path of ['/overview', '/keys', '/activity', '/webhooks']) {
    await page.goto(path);
    await page.getByRole('alert').filter({ hasText: 'It broke' }).first().waitFor();
  }
  await page.unrouteAll();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('alert').waitFor({ state: 'detached' });
});

t.test('there is something hostile of every kind', async () => {
  const { lab } = await family();
  await call('PATCH', `/v1/vms/${lab.id}`, { name: HOSTILE });
  await call('POST', '/rds/v1/images', { name: HOSTILE, description: HOSTILE });
  await call('POST', '/rds/v1/admin/webhooks', { name: HOSTILE, url: 'http://127.0.0.1:9/', enabled: false, eventTypes: ['vm.created', 'vm.deleted'] });
  await call('POST', '/rds/v1/admin/api-keys', { name: HOSTILE });
  await call('POST', '/v1/accounts', { name: HOSTILE, quotas: { vcpu: 4 } });
});

for (const viewport of SCREENS) {
  t.test(`pages are accessible, fit, and take names as text at ${viewport.width} px`, { viewport }, async (page) => {
    for (const path of ALL) {
      await page.goto(path);
      await page.getByText(HOSTILE).first().waitFor();
      assert.equal(await page.locator('img:not([src="/favicon.svg"])').count(), 0, path);
      await fits(page);
      await accessible(page);
    }
    assert.notEqual(await page.title(), '1');
  });
}
