// SPDX-License-Identifier: Apache-2.0
// The table of VMs, and what is done from it.

import assert from 'node:assert/strict';

import { NARROW, SCREENS, accessible, fits, setUp } from './lib/page.mjs';

const t = setUp();

const row = (page, name) => page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });
const action = async (page, name, item) => {
  await page.getByRole('button', { name: `Actions for ${name}`, exact: true }).click();
  await page.getByRole('menuitem', { name: item }).click();
};
const dialog = (page, name) => page.getByRole('dialog', { name });

t.test('the first VM: from the empty page to its own', { path: '/vms' }, async (page) => {
  await page.getByRole('heading', { name: 'No VMs yet' }).waitFor();
  await page.getByRole('button', { name: 'Create VM' }).last().click();
  const d = dialog(page, 'Create VM');
  await d.getByLabel('Name').fill('first');
  await d.getByLabel('Image', { exact: true }).selectOption('python');
  await d.getByLabel('Disk, GiB').fill('2');
  await d.getByText('Only some').click();
  await d.getByLabel('It may reach').fill('203.0.113.0/24\npypi.org');
  await d.getByText('Time limits, environment, metadata').click();
  await d.getByLabel('After it has run for').fill('2');
  await d.getByLabel('Environment').fill('GREETING=hello world');
  await d.getByLabel('Metadata').fill('team=core');
  await d.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { level: 1, name: /^first/ }).waitFor();
  const [vm] = await t.api('GET', '/vms');
  assert.equal(vm.name, 'first');
  assert.equal(vm.image, 'python');
  assert.equal(vm.diskGiB, 2);
  assert.deepEqual(vm.ttl, { seconds: 7200, action: 'delete' });
  assert.deepEqual(vm.envVars, { GREETING: 'hello world' });
  assert.deepEqual(vm.metadata, { team: 'core' });
  assert.equal(vm.effectiveFirewall.egress.default, 'deny');
  assert.deepEqual(vm.effectiveFirewall.egress.rules.map((r) => [r.action, r.kind, r.value]),
    [['allow', 'cidr', '203.0.113.0/24'], ['allow', 'fqdn', 'pypi.org']]);
});

t.test('a VM of a shape of its own', { path: '/vms?create=1' }, async (page) => {
  const d = dialog(page, 'Create VM');
  await d.getByLabel('Machine type').selectOption('custom');
  await d.getByLabel('vCPUs').fill('3');
  await d.getByLabel('Memory, MiB').fill('lots');
  await d.getByRole('button', { name: 'Create' }).click();
  await d.getByText('A whole number of MiB from 64 on.').waitFor();
  await d.getByLabel('Memory, MiB').fill('640');
  await d.getByLabel('Name').fill('shaped');
  await d.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { level: 1, name: /^shaped/ }).waitFor();
  const vm = (await t.api('GET', '/vms')).find((v) => v.name === 'shaped');
  assert.deepEqual([vm.cpu, vm.memoryMiB], [3, 640]);
});

t.test('what is wrong with a launch is told at its field', { path: '/vms?create=1' }, async (page) => {
  const d = dialog(page, 'Create VM');
  await d.getByLabel('Disk, GiB').fill('a lot');
  await d.getByRole('button', { name: 'Create' }).click();
  await d.getByText('A number of GiB, or nothing.').waitFor();
  await d.getByLabel('Disk, GiB').fill('');
  await d.getByText('Only some').click();
  await d.getByLabel('It may reach').fill('not an address!');
  await d.getByRole('button', { name: 'Create' }).click();
  await d.getByText('not an address!: A name, such as example.com').waitFor();
  await page.keyboard.press('Escape');
  await d.waitFor({ state: 'detached' });
  assert.equal(new URL(page.url()).search, '');
});

t.test('what the daemon refuses is told, and the input stays', { path: '/vms?create=1', allowed: [/status of 400/] }, async (page) => {
  const d = dialog(page, 'Create VM');
  await d.getByText('Time limits, environment, metadata').click();
  await d.getByLabel('Environment').fill('1BAD=x');
  await d.getByRole('button', { name: 'Create' }).click();
  await d.getByRole('alert').first().waitFor();
  assert.equal(await d.getByLabel('Environment').inputValue(), '1BAD=x');
});

t.test('pause, resume, suspend, stop and start', { path: '/vms' }, async (page) => {
  await t.launch('mover');
  const status = (word) => row(page, 'mover').getByText(word, { exact: true }).waitFor();
  await status('running');
  for (const [item, word] of [['Pause', 'paused'], ['Resume', 'running'], ['Suspend to disk', 'suspended'], ['Resume', 'running'], [/^Stop$/, 'stopped'], ['Start', 'running']]) {
    await action(page, 'mover', item);
    await status(word);
  }
  await action(page, 'mover', 'Turn off');
  await dialog(page, 'Turn mover off?').getByRole('button', { name: 'Turn off' }).click();
  await status('stopped');
});

t.test('fork, snapshot, launch from it, rename', { path: '/vms' }, async (page) => {
  await t.launch('origin');
  await row(page, 'origin').waitFor();
  await action(page, 'origin', 'Fork…');
  let d = dialog(page, 'Fork origin');
  await d.getByLabel('Copies').fill('2');
  await d.getByLabel('Name').fill('child');
  await d.getByRole('button', { name: 'Fork' }).click();
  await row(page, 'child-1').waitFor();
  await row(page, 'child-2').waitFor();

  await action(page, 'origin', 'Snapshot…');
  d = dialog(page, 'Snapshot of origin');
  await d.getByLabel('Name').fill('point');
  await d.getByRole('button', { name: 'Take snapshot' }).click();
  await page.getByText(/Snapshot taken; origin stood still/).waitFor();
  const snapshot = (await t.api('GET', '/snapshots')).find((s) => s.name === 'point');

  await page.goto(`/vms?create=1&snapshot=${snapshot.id}`);
  d = dialog(page, 'Create VM');
  await d.getByLabel('Name').fill('from-point');
  await d.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { level: 1, name: /^from-point/ }).waitFor();
  await page.getByRole('link', { name: 'point', exact: true }).click(); // its lineage
  await page.getByRole('complementary', { name: 'What is selected' }).getByRole('heading', { name: 'point' }).waitFor();
  await page.goBack();

  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Rename…' }).click();
  await dialog(page, 'Rename from-point').getByLabel('Name').fill('renamed');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: /^renamed/ }).waitFor();
});

t.test('many at a time: selected, paused, deleted after a question', { path: '/vms' }, async (page) => {
  for (const name of ['bulk-a', 'bulk-b', 'bulk-c']) await t.launch(name);
  await page.getByRole('searchbox', { name: 'Filter VMs' }).fill('bulk-');
  await row(page, 'bulk-c').waitFor();
  await page.getByLabel('Select all: VMs').click();
  await page.getByRole('group', { name: 'Selected VMs' }).getByRole('button', { name: 'Pause' }).click();
  for (const name of ['bulk-a', 'bulk-b', 'bulk-c']) await row(page, name).getByText('paused').waitFor();
  await page.getByRole('group', { name: 'Selected VMs' }).getByRole('button', { name: 'Delete' }).click();
  const d = dialog(page, 'Delete 3 VMs?');
  await d.getByRole('button', { name: 'Cancel' }).click();
  await d.waitFor({ state: 'detached' });
  assert.equal(await row(page, 'bulk-a').count(), 1);
  await page.getByRole('group', { name: 'Selected VMs' }).getByRole('button', { name: 'Delete' }).click();
  await dialog(page, 'Delete 3 VMs?').getByRole('button', { name: 'Delete 3 VMs' }).click();
  await page.getByText('3 VMs deleted').waitFor();
  await row(page, 'bulk-a').waitFor({ state: 'detached' });
  assert.equal((await t.api('GET', '/vms')).filter((v) => v.name.startsWith('bulk-')).length, 0);
});

t.test('the list is sorted, filtered, and follows what others do', { path: '/vms' }, async (page) => {
  const names = async () => (await page.getByRole('table', { name: 'VMs' }).locator('tbody tr .cell-name a').allInnerTexts()).filter((n) => n.startsWith('sort-'));
  const one = await t.launch('sort-2');
  await t.launch('sort-10');
  await row(page, 'sort-10').waitFor();
  await page.getByRole('searchbox', { name: 'Filter VMs' }).fill('sort-');
  await page.getByRole('button', { name: 'Name' }).click();
  assert.deepEqual(await names(), ['sort-2', 'sort-10']);
  await page.getByRole('button', { name: 'Name' }).click();
  assert.deepEqual(await names(), ['sort-10', 'sort-2']);
  assert.equal(await page.getByRole('columnheader', { name: 'Name' }).getAttribute('aria-sort'), 'descending');
  await t.api('POST', `/vms/${one.id}/pause`);
  await row(page, 'sort-2').getByText('paused').waitFor();
  await page.getByLabel('State').selectOption('paused');
  await row(page, 'sort-10').waitFor({ state: 'detached' });
  await t.api('DELETE', `/vms/${one.id}`);
  await page.getByRole('heading', { name: 'No VM fits' }).waitFor();
});

t.test('a keyboard alone creates, opens and deletes a VM', { path: '/vms' }, async (page) => {
  const press = (...keys) => keys.reduce((p, key) => p.then(() => page.keyboard.press(key)), Promise.resolve());
  await page.getByRole('table', { name: 'VMs' }).waitFor();
  await press('c');
  await dialog(page, 'Create VM').getByLabel('Name').waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === 'INPUT');
  await page.keyboard.type('by-keys');
  await press('Enter');
  await page.getByRole('heading', { level: 1, name: /^by-keys/ }).waitFor();
  await press('g', 'v');
  await page.getByRole('table', { name: 'VMs' }).waitFor();
  await press('/');
  await page.keyboard.type('by-keys');
  const only = page.locator('tbody tr');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  while (!(await only.evaluate((el) => el === document.activeElement))) await press('Tab');
  await press('Space');
  await page.getByText('1 selected').waitFor();
  await press('d');
  await dialog(page, 'Delete by-keys?').waitFor();
  while (await page.evaluate(() => document.activeElement.textContent !== 'Delete')) await press('Tab');
  await press('Enter');
  await page.getByText('by-keys deleted').waitFor();
});

t.test('a hostile name is text everywhere', { path: '/vms' }, async (page) => {
  const name = '<img src=x onerror=alert(1)>';
  const vm = await t.launch(name, { metadata: { '<b>k</b>': '<script>alert(2)</script>' } });
  await page.getByRole('link', { name }).waitFor();
  await action(page, name, 'Delete…');
  await dialog(page, `Delete ${name}?`).getByRole('button', { name: 'Cancel' }).click();
  await page.goto(`/vms/${vm.id}`);
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await page.getByText('<script>alert(2)</script>').waitFor();
  await page.keyboard.press('Control+k');
  await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'combobox');
  await page.keyboard.type('onerror');
  await page.getByRole('option', { name }).waitFor();
  assert.equal(await page.locator('img[src=x]').count(), 0);
});

t.test('the table says what each VM uses and how old it is', { path: '/vms' }, async (page) => {
  const busy = await t.launch('busy', { cpu: 2, memoryMiB: 640 });
  await t.launch('idle', { cpu: 1, memoryMiB: 256 });
  const off = await t.launch('off', { cpu: 4, memoryMiB: 1024 });
  await t.api('POST', `/vms/${off.id}/stop`, { force: true });
  await t.api('POST', `/vms/${busy.id}/exec`, { command: ['sh', '-c', 'busy 600000'], background: true });
  const cell = (name, column) => row(page, name).locator(`[data-label=${column}]`);
  const shows = (name, column, text) => cell(name, column).filter({ hasText: text }).waitFor();
  await shows('busy', 'CPU', /^[1-9][\d.]* % of 2$/);
  await cell('busy', 'CPU').locator('.sparkline path[d*=L]').waitFor();
  await shows('idle', 'CPU', /^0 % of 1$/);
  await shows('off', 'CPU', /^– of 4$/);
  assert.equal(await cell('off', 'CPU').locator('.sparkline').count(), 0);
  await shows('busy', 'Memory', /^[1-9][\d.]* [KM]iB of 640 MiB$/);
  await shows('idle', 'Memory', /^[1-9][\d.]* [KM]iB of 256 MiB$/);
  await shows('off', 'Memory', /^– of 1 GiB$/);
  const { memoryBytes } = await t.api('GET', `/vms/${busy.id}/stats`);
  assert.ok(memoryBytes > 0);
  for (const vm of [busy, off]) {
    await shows(vm.name, 'Age', /^\d+ (s|min)$/);
    assert.equal(Date.parse(await cell(vm.name, 'Age').locator('time').getAttribute('datetime')), Date.parse(vm.createdAt));
  }
  const order = async () => (await page.locator('tbody tr .cell-name a').allInnerTexts()).filter((n) => ['busy', 'idle', 'off'].includes(n));
  await page.getByRole('button', { name: 'CPU', exact: true }).click();
  assert.deepEqual(await order(), ['off', 'idle', 'busy']);
  await page.getByRole('button', { name: 'Memory', exact: true }).click();
  assert.deepEqual(await order(), ['idle', 'busy', 'off']);
  await page.getByRole('button', { name: 'Age', exact: true }).click();
  assert.deepEqual(await order(), ['off', 'idle', 'busy']);
});

t.test('on a narrow screen, too, the cards are sorted and all are selected, and what has the focus is seen', { path: '/vms', viewport: NARROW }, async (page) => {
  await t.launch('narrow-b');
  await t.launch('narrow-a');
  await page.getByRole('searchbox', { name: 'Filter VMs' }).fill('narrow-');
  await row(page, 'narrow-a').waitFor();
  await page.getByRole('searchbox', { name: 'Filter VMs' }).focus();
  const seen = () => page.evaluate(() => {
    const e = document.activeElement, box = e.getBoundingClientRect();
    const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return e.contains(there) || Boolean(there?.contains(e) && there.matches('.select, .search'));
  });
  do {
    await page.keyboard.press('Tab');
    assert.ok(await seen(), await page.evaluate(() => document.activeElement.outerHTML));
  } while (await page.evaluate(() => !document.activeElement.matches('tbody tr')));
  await page.getByRole('button', { name: 'Name', exact: true }).click();
  assert.deepEqual(await page.locator('tbody tr .cell-name a').allInnerTexts(), ['narrow-a', 'narrow-b']);
  await page.getByLabel('Select all: VMs').check();
  await page.getByText('2 selected').waitFor();
});

for (const viewport of SCREENS) {
  t.test(`the table, the menu and the dialog are accessible and fit at ${viewport.width} px`, { path: '/vms', viewport }, async (page) => {
    await t.launch(`a-name-that-is-as-long-as-names-may-be-at-${viewport.width}-and-has-no-break-in-it`.slice(0, 64));
    await page.getByRole('table', { name: 'VMs' }).waitFor();
    await fits(page);
    await accessible(page);
    await page.getByRole('button', { name: /^Actions for/ }).first().click();
    await page.getByRole('menuitem', { name: 'Rename…' }).waitFor();
    await accessible(page);
    await page.keyboard.press('Escape');
    await page.goto('/vms?create=1');
    await page.getByLabel('Machine type').waitFor();
    await fits(page);
    await accessible(page);
  });
}
