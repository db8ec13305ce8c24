// SPDX-License-Identifier: Apache-2.0
// One VM's page: every tab of it. What runs in the guest is a line of the fake guest's language.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { SCREENS, accessible, fits, setUp, terminalShows as shows, terminalText } from './lib/page.mjs';

const t = setUp();

const dialog = (page, name) => page.getByRole('dialog', { name });

async function open(page, name, tab = '') {
  const vm = await t.launch(name);
  await page.goto(`/vms/${vm.id}${tab && `/${tab}`}`);
  await page.getByRole('heading', { level: 1, name: new RegExp(`^${name}`) }).waitFor();
  return vm;
}

// Whoever observes sizes has been told of them by then.
const framesPass = (page) => page.evaluate(async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
});

const exec = (vm, script) => t.api('POST', `/vms/${vm.id}/exec`, { command: ['sh', '-c', script] });

t.test('overview: facts, charts that fill, time limits, metadata, resize', async (page) => {
  const vm = await open(page, 'facts');
  await page.getByText(vm.id, { exact: true }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.chart-line[d*=L]').length >= 3);
  await page.getByRole('button', { name: 'Change…' }).click();
  await dialog(page, 'Time limits').getByLabel('Runs for, seconds').fill('3600');
  await page.keyboard.press('Enter');
  await page.getByText(/1 h, then delete/).waitFor();
  await page.getByRole('button', { name: 'Edit…' }).click();
  await dialog(page, 'Metadata').getByLabel('One key=value a line').fill('a=1\nb=x=y');
  await dialog(page, 'Metadata').getByRole('button', { name: 'Save' }).click();
  await page.getByText('x=y').waitFor();
  assert.deepEqual((await t.api('GET', `/vms/${vm.id}`)).metadata, { a: '1', b: 'x=y' });
  await page.getByRole('button', { name: 'Resize…' }).click();
  await dialog(page, /^Resize/).getByLabel('Disk, GiB').fill('3');
  await dialog(page, /^Resize/).getByRole('button', { name: 'Resize' }).click();
  await page.getByText('The disk has grown').waitFor();
  assert.equal((await t.api('GET', `/vms/${vm.id}`)).diskGiB, 3);
});

// `heard` are the types of events that the page has been told of, all listeners of it, once it is "listening".
const hears = (page) => page.addInitScript(() => {
  window.heard = [];
  window.EventSource = class extends EventSource {
    constructor(address) {
      super(address);
      this.addEventListener('open', () => window.heard.push('listening'));
      this.addEventListener('activity', (e) => window.heard.push(JSON.parse(e.data).type));
    }
  };
});

t.test('an event about nothing that has an id is none of a VM’s', async (page) => {
  await hears(page);
  await open(page, 'undisturbed');
  await page.waitForFunction(() => window.heard.includes('listening'));
  const refused = await fetch(`${t.url}/rds/auth/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ apiKey: 'no such key' }),
  });
  assert.equal(refused.status, 401);
  await page.waitForFunction(() => window.heard.includes('session.failed'));
});

t.test('a part of the page that an event breaks keeps it from no other', { allowed: [/^threw TypeError.*endsWith/] }, async (page) => {
  // Nothing is asked for again but because of an event.
  await page.addInitScript(() => {
    const { setTimeout } = window;
    window.setTimeout = (f, ms, ...rest) => (ms >= 1000 ? 0 : setTimeout(f, ms, ...rest));
  });
  let tell;
  const told = new Promise((done) => { tell = done; });
  await page.route('**/rds/v1/admin/events*', async (route) => {
    await told;
    const event = { id: 1e9, type: 'vm.forked', entityType: 'vm', entityId: 7, createdAt: new Date().toISOString(), name: '', message: '', meta: {} };
    await route.fulfill({ contentType: 'text/event-stream', body: `event: activity\ndata: ${JSON.stringify(event)}\n\n` });
  });
  const family = () => page.waitForRequest('**/native/v1/snapshots');
  const first = family();
  await open(page, 'half-broken');
  await (await first).response();
  const again = family();
  tell();
  await again;
});

t.test('terminal: types, sees, resizes, and is begun anew', async (page) => {
  await open(page, 'shell', 'terminal');
  await shows(page, /^#/m);
  await page.keyboard.type('print typed-here\n');
  await shows(page, /^typed-here$/m);
  await page.keyboard.type('rows\n');
  await shows(page, /^\d+ \d+$/m);
  const size = async () => [...(await terminalText(page)).matchAll(/^(\d+) (\d+)$/gm)].at(-1).slice(1).map(Number);
  const [, wide] = await size();
  for (let height = 800; height < 820; height += 4) {
    await page.setViewportSize({ width: 1280, height });
    await framesPass(page);
    const under = await page.evaluate(() => {
      const bottom = (name) => document.querySelector(name).getBoundingClientRect().bottom;
      return bottom('.xterm-screen') - bottom('.term-screen');
    });
    assert.ok(under < 0, `at ${height} px the last row is cut`);
  }
  await page.setViewportSize({ width: 900, height: 800 });
  await page.waitForFunction(() => document.querySelector('.term-screen').offsetWidth < 700);
  await framesPass(page);
  await page.keyboard.type('rows\n');
  await shows(page, /^\d+ \d+$[^]*^\d+ \d+$/m);
  const [, narrow] = await size();
  assert.ok(narrow < wide, `${narrow} columns, not fewer than ${wide}`);
  await page.keyboard.type('exit 4\n');
  await page.getByText('Ended: exit 4').waitFor();
  await page.keyboard.press('Enter');
  await page.getByText('Connected').waitFor();
  await page.keyboard.type('print again\n');
  await shows(page, /^again$/m);
});

t.test('terminals: several, as another user, alive while another tab is looked at', async (page) => {
  await open(page, 'shells', 'terminal');
  await shows(page, /^#/m);
  await page.keyboard.type('print in-the-first\n');
  await shows(page, /^in-the-first$/m);
  await page.getByLabel('User').fill('user');
  await page.getByRole('button', { name: 'New' }).click();
  await page.getByRole('button', { name: 'Shell 2' }).first().waitFor();
  await shows(page, /^#/m);
  await page.keyboard.type('id\n');
  await shows(page, /uid=1000/);
  await page.getByRole('tab', { name: 'Overview' }).click();
  await page.getByRole('tab', { name: 'Terminal' }).click();
  await page.getByRole('button', { name: 'Shell 1', exact: true }).click();
  await shows(page, /^in-the-first$/m);
  await page.getByRole('button', { name: 'Close Shell 1' }).click();
  await shows(page, /uid=1000/);
});

t.test('terminal: the keyboard gets out of it, paste goes in, hostile output stays text', async (page, context) => {
  await open(page, 'hostile', 'terminal');
  await shows(page, /^#/m);
  await page.keyboard.press('F6');
  assert.equal(await page.evaluate(() => Boolean(document.activeElement.closest('.terminal-foot'))), true);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.evaluate(() => navigator.clipboard.writeText('print <img src=x onerror=alert(1)>\n'));
  await page.getByRole('button', { name: 'Paste' }).click();
  await shows(page, /^<img src=x onerror=alert\(1\)>$/m);
  assert.equal(await page.locator('img[src=x]').count(), 0);
});

t.test('terminal: a VM that stops is told', async (page) => {
  const vm = await open(page, 'stopping', 'terminal');
  await shows(page, /^#/m);
  await t.api('POST', `/vms/${vm.id}/stop`, { force: true });
  await page.locator('.terminal-foot .is-off').waitFor();
});

t.test('commands: output as it comes, exit code, history, cancel', async (page) => {
  await open(page, 'commands', 'command');
  const box = page.getByRole('textbox', { name: 'Command' });
  await box.fill('print out\neprint err <b>bold</b>\nexit 3');
  await box.press('Enter');
  const first = page.getByRole('article').first();
  await first.locator('.badge', { hasText: 'exit 3' }).waitFor(); // the command has these words, too
  const log = first.getByRole('log');
  assert.match(await log.innerText(), /out\nerr <b>bold<\/b>/);
  assert.equal(await log.locator('b').count(), 0);
  await box.fill('print before\nhang');
  await box.press('Enter');
  await page.getByRole('article').first().getByText('before', { exact: true }).waitFor(); // it has not ended
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('cancelled').waitFor();
  await box.press('ArrowUp');
  assert.equal(await box.inputValue(), 'print before\nhang');
  await box.fill('');
  await page.getByLabel('Timeout, seconds').fill('0.2');
  await box.fill('hang');
  await box.press('Enter');
  await page.getByText('timed out').waitFor();
});

t.test('commands: much output keeps its end', async (page) => {
  await open(page, 'flood', 'command');
  const box = page.getByRole('textbox', { name: 'Command' });
  await box.fill('flood 3000000\nprint the-end');
  await box.press('Enter');
  await page.getByText('exit 0').waitFor();
  assert.match(await page.getByRole('log').innerText(), /characters before[\s\S]*the-end/);
});

t.test('jobs: begun, followed, ended, forgotten', async (page) => {
  await open(page, 'jobs', 'command');
  const box = page.getByRole('textbox', { name: 'Command' });
  await box.fill('print from-the-job\nhang');
  await page.getByRole('button', { name: 'In background' }).click();
  const row = page.getByRole('row').filter({ hasText: 'from-the-job' });
  await row.getByText('running').waitFor();
  await row.click();
  await page.getByRole('log', { name: 'Output of the job' }).getByText('from-the-job').waitFor();
  await row.getByRole('button', { name: /^Actions/ }).click();
  await page.getByRole('menuitem', { name: 'Kill (KILL)' }).click();
  await row.getByText('exit 137').waitFor();
  await row.getByRole('button', { name: /^Actions/ }).click();
  await page.getByRole('menuitem', { name: 'Forget…' }).click();
  await dialog(page, 'Forget this job?').getByRole('button', { name: 'Forget' }).click();
  await page.getByRole('heading', { name: 'No jobs' }).waitFor();
});

t.test('files: up, looked at, changed, down, removed', async (page) => {
  const vm = await open(page, 'files', 'files');
  await page.getByRole('navigation', { name: 'Directory' }).waitFor();
  await page.getByLabel('Files to upload').setInputFiles([
    { name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from('first line\n') },
    { name: '<b>odd<b> näme.bin', mimeType: 'application/octet-stream', buffer: Buffer.from([0, 1, 2, 255]) },
  ]);
  await page.getByText('2 of 2 uploaded').waitFor();
  await page.getByRole('button', { name: 'note.txt', exact: true }).click();
  const d = dialog(page, '/root/note.txt');
  await d.getByText('first line').waitFor();
  await d.getByRole('button', { name: 'Edit' }).click();
  await d.getByRole('textbox').fill('second line\n');
  await d.getByRole('button', { name: 'Save' }).click();
  await page.getByText('note.txt saved').waitFor();
  assert.equal((await exec(vm, 'file /root/note.txt')).stdout, 'second line\n');

  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download note.txt' }).click();
  const download = await downloading;
  assert.equal(download.suggestedFilename(), 'note.txt');
  assert.equal(readFileSync(await download.path(), 'utf8'), 'second line\n');

  await page.getByRole('button', { name: '<b>odd<b> näme.bin', exact: true }).click();
  await page.getByRole('heading', { name: 'This is no text' }).waitFor();
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'Directory', exact: true }).click();
  await dialog(page, 'New directory').getByLabel('Name').fill('sub/deeper');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'sub', exact: true }).click();
  await page.getByRole('button', { name: 'deeper', exact: true }).click();
  await page.getByRole('heading', { name: 'Nothing is in here' }).waitFor();
  await page.getByRole('button', { name: 'root', exact: true }).click();

  const tar = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download sub' }).click();
  assert.equal((await tar).suggestedFilename(), 'sub.tar');

  await page.getByRole('button', { name: 'Actions for note.txt' }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  await dialog(page, 'Delete note.txt?').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'note.txt', exact: true }).waitFor({ state: 'detached' });
});

t.test('files: dropped on the page, and a directory that is not there', { allowed: [/status of 404/] }, async (page) => {
  const vm = await open(page, 'dropped', 'files');
  await page.getByRole('navigation', { name: 'Directory' }).waitFor();
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(['dropped content\n'], 'dropped.txt'));
    return transfer;
  });
  await page.locator('.files').dispatchEvent('drop', { dataTransfer: data });
  await page.getByRole('button', { name: 'dropped.txt', exact: true }).waitFor();
  assert.equal((await exec(vm, 'file /root/dropped.txt')).stdout, 'dropped content\n');
  await page.getByRole('button', { name: 'Type a path' }).click();
  await page.getByRole('textbox', { name: 'Path' }).fill('/no/such');
  await page.keyboard.press('Enter');
  await page.getByText('There is no directory /no/such.').waitFor();
});

t.test('network: a policy by form and as JSON', { allowed: [/status of 400/] }, async (page) => {
  const vm = await open(page, 'network', 'network');
  const policy = async () => (await t.api('GET', `/vms/${vm.id}`)).effectiveFirewall;
  await page.getByRole('button', { name: 'Add rule' }).first().click();
  await page.getByLabel('Target of rule 1').fill('300.1.2.3.example');
  await page.getByText('An address or CIDR, such as 10.0.0.0/8.').waitFor();
  await page.getByLabel('Kind of rule 1').selectOption('fqdn');
  await page.getByLabel('Target of rule 1').fill('*.example.com');
  await page.getByLabel('Protocol of rule 1').selectOption('tcp');
  await page.getByLabel('Ports of rule 1').fill('443-80');
  await page.getByText('Ports: any, 443 or 8000-8999.').waitFor();
  await page.getByLabel('Ports of rule 1').fill(' 443 ');
  await page.getByRole('button', { name: 'Save policy' }).click();
  await page.getByText('The policy counts from now on').waitFor();
  assert.deepEqual((await policy()).egress.rules, [{ action: 'deny', kind: 'fqdn', value: '*.example.com', protocol: 'tcp', ports: '443' }]);

  await page.getByText('JSON', { exact: true }).click();
  await page.getByLabel('Policy').fill('{"egress": {"default": "maybe"}}');
  await page.getByRole('button', { name: 'Save policy' }).click();
  await page.getByRole('alert').filter({ hasText: 'egress' }).waitFor();
  await page.getByLabel('Policy').fill('{"mode": "restricted", "ingress": []}');
  await page.getByRole('button', { name: 'Save policy' }).click();
  await page.waitForFunction(() => !document.querySelector('textarea').value.includes('"mode": "restricted"'));
  await page.getByText('Form', { exact: true }).click();
  await page.getByRole('heading', { name: 'Outbound: what the VM may reach' }).waitFor();
  assert.deepEqual((await policy()).egress.rules, []);
});

t.test('network: the form offers what the daemon takes, and shows what is written short', async (page) => {
  const vm = await open(page, 'offers', 'network');
  const saved = async () => {
    await page.getByRole('button', { name: 'Save policy' }).click();
    await page.waitForFunction(() => document.querySelector('[type=submit]').disabled);
    return (await t.api('GET', `/vms/${vm.id}`)).effectiveFirewall.ingress.rules;
  };
  await page.getByRole('button', { name: 'Add rule' }).last().click();
  await page.getByLabel('Target of rule 1').fill(' 192.0.2.0/24 ');
  const offered = await page.getByLabel('Protocol of rule 1').locator('option').evaluateAll((all) => all.map((o) => o.value));
  for (const protocol of offered) {
    await page.getByLabel('Protocol of rule 1').selectOption(protocol);
    const ports = page.getByLabel('Ports of rule 1');
    if (await ports.isEnabled()) await ports.fill('80');
    assert.deepEqual(await saved(), [
      { action: 'allow', kind: 'cidr', value: '192.0.2.0/24', protocol, ports: protocol === 'any' ? 'any' : '80' }], protocol);
    await page.getByLabel('Protocol of rule 1').selectOption(offered.find((p) => p !== protocol && p !== 'any'));
  }
  await page.getByText('JSON', { exact: true }).click();
  await page.getByLabel('Policy').fill('{"ingress": {"rules": 7}}');
  await page.getByText('Form', { exact: true }).click();
  await page.getByRole('alert').filter({ hasText: 'This is no policy yet.' }).waitFor();
  await page.getByLabel('Policy').fill('{"ingress": {"rules": [{"action": "allow", "value": "198.51.100.7/32"}]}}');
  await page.getByText('Form', { exact: true }).click();
  await page.getByLabel('Target of rule 1').waitFor();
  assert.deepEqual((await saved()).map((r) => [r.value, r.ports]), [['198.51.100.7/32', 'any']]);
});

t.test('serial console: its log, and what comes after', async (page) => {
  const vm = await t.launch('serial');
  await page.goto(`/vms/${vm.id}/serial`);
  await shows(page, /^\[nothing was said so far\]$/m);
  await exec(vm, 'console said-before <u>x</u>');
  await page.goto(`/vms/${vm.id}/serial`);
  await shows(page, /^said-before <u>x<\/u>$/m);
  await exec(vm, 'console said-after');
  await shows(page, /^said-after$/m);
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download log' }).click();
  assert.match(readFileSync(await (await downloading).path(), 'utf8'), /said-before/);
});

t.test('tabs by arrow keys, and a VM that is not there', { allowed: [/status of 404/] }, async (page) => {
  await open(page, 'tabs');
  await page.getByRole('tab', { name: 'Overview' }).focus();
  await page.keyboard.press('ArrowRight');
  await page.locator('.xterm').waitFor(); // it does not take the focus from the tabs
  assert.ok(await page.getByRole('tab', { name: 'Terminal' }).evaluate((tab) => tab === document.activeElement));
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.getByRole('tab', { name: 'Command' }).getAttribute('aria-selected'), 'true');
  await page.getByRole('textbox', { name: 'Command' }).waitFor();
  await page.goto('/vms/00000000-0000-4000-8000-000000000000');
  await page.getByRole('heading', { name: 'There is no such VM' }).waitFor();
});

for (const viewport of SCREENS) {
  t.test(`every tab is accessible and fits at ${viewport.width} px`, { viewport }, async (page) => {
    const vm = await open(page, `looked-at-${viewport.width}`);
    await exec(vm, 'put /root/a-file text');
    const rules = [['cidr', '10.0.0.0/8'], ['fqdn', '*.example.com']].map(([kind, value]) => ({ action: 'deny', kind, value }));
    await t.api('PUT', `/vms/${vm.id}/firewall`, { egress: { default: 'allow', rules } });
    await t.api('POST', `/vms/${vm.id}/exec`, { command: ['sh', '-c', 'print from-the-job'], background: true });
    for (const tab of ['', 'terminal', 'command', 'files', 'network', 'jobs', 'serial']) {
      await page.goto(`/vms/${vm.id}/${tab}`);
      await page.getByRole('tab', { selected: true }).waitFor();
      await page.locator('.tab-panel .loading').first().waitFor({ state: 'detached' });
      await fits(page);
      await accessible(page);
    }
  });
}
