// SPDX-License-Identifier: Apache-2.0
// The dashboard with real VMs: a terminal, commands and files in a real guest, seen in a real browser.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DIST, setUp, terminalShows as shows } from '../browser/lib/page.mjs';
import { Daemon } from './lib/holm.mjs';

const t = setUp({
  start: async () => {
    const daemon = await Daemon.start({ set: { 'paths.web_dir': DIST } });
    await daemon.ready(['bash']);
    return { url: daemon.url, key: readFileSync(join(daemon.data, 'admin.key'), 'utf8').trim(), stop: () => daemon.close() };
  },
});

t.test('a VM is made, worked in, forked and deleted, all in the browser', { path: '/vms?create=1', timeout: 240_000, allowed: [/status of 404/] }, async (page) => {
  await page.getByRole('dialog').getByLabel('Image', { exact: true }).selectOption('bash');
  await page.getByRole('dialog').getByLabel('Name').fill('real');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { level: 1, name: /^real/ }).waitFor();
  const id = new URL(page.url()).pathname.split('/')[2];

  // A shell with its size, colours, an editor's kind of screen, and an interrupt.
  await page.getByRole('tab', { name: 'Terminal' }).click();
  await shows(page, /[#$]\s*$/m);
  await page.keyboard.type('echo $((20+22)) $(stty size) "$TERM"\n');
  await shows(page, /^42 \d+ \d+ \w+/m);
  await page.keyboard.type('printf "\\033[31mred\\033[0m <b>text</b>\\n"; sleep 1000\n');
  await shows(page, /^red <b>text<\/b>$/m);
  await page.keyboard.press('Control+c');
  await page.keyboard.type('echo after-$?\n');
  await shows(page, /^after-130$/m);
  await page.keyboard.type('mkdir -p /root/made && date > /root/made/when\n');

  await page.getByRole('tab', { name: 'Command', exact: true }).click();
  await page.getByRole('textbox', { name: 'Command' }).fill('uname -s; until test -s /root/made/when; do sleep 0.1; done; ls /root/made; false');
  await page.keyboard.press('Enter');
  await page.getByText('exit 1').waitFor();
  assert.match(await page.getByRole('log').innerText(), /Linux\nwhen/);

  await page.getByRole('tab', { name: 'Files' }).click();
  await page.getByRole('button', { name: 'made', exact: true }).click();
  await page.getByRole('button', { name: 'when', exact: true }).waitFor();
  await page.getByLabel('Files to upload').setInputFiles([{ name: 'five.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(5 << 20, 'holm') }]);
  await page.getByText('1 of 1 uploaded').waitFor();
  await page.getByRole('button', { name: 'Directory', exact: true }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('empty');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'empty', exact: true }).waitFor();
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download five.bin' }).click();
  assert.equal(Buffer.compare(readFileSync(await (await downloading).path()), Buffer.alloc(5 << 20, 'holm')), 0);

  await page.getByRole('tab', { name: 'Serial console' }).click();
  await page.getByText('Connected').locator('visible=true').waitFor();

  await page.getByRole('button', { name: 'Actions', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Fork…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Fork' }).click();
  await page.getByRole('heading', { level: 1, name: /^real-fork/ }).waitFor();
  const copy = new URL(page.url()).pathname.split('/')[2];
  assert.notEqual(copy, id);
  const { stdout } = await t.api('POST', `/vms/${copy}/exec`, { command: ['cat', '/root/made/when'] });
  assert.match(stdout, /\d\d:\d\d:\d\d/);

  await page.getByRole('button', { name: 'Actions', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { level: 1, name: 'VMs' }).waitFor();
});
