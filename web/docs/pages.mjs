// SPDX-License-Identifier: Apache-2.0
// The pages of /docs: one row each. A page is written (`file`, from the root of the tree) or is made in the browser
// from a document that the daemon serves (`document`).

export const GROUPS = ['Start', 'APIs', 'Reference', 'Running it', 'Inside'];

export const PAGES = [
  { name: 'index', file: 'README.md', title: 'Overview', group: 'Start', about: 'What Holm is, and how to try it' },
  { name: 'guide', file: 'docs/guide.md', title: 'First steps with HTTP', group: 'Start', about: 'A machine, a command, TypeScript, files, a snapshot: with curl' },
  { name: 'dashboard', file: 'docs/dashboard.md', title: 'The dashboard', group: 'Start', about: 'The same with a browser' },
  { name: 'cli', file: 'docs/cli.md', title: 'The command line', group: 'Start', about: 'Every command of holm' },
  { name: 'native', file: 'docs/native.md', title: 'Native API', group: 'APIs', about: 'Machines that live: forks, snapshots, terminals, networks' },
  { name: 'rds', file: 'docs/rds.md', title: 'run-dat-sheesh API', group: 'APIs', about: 'Machines for programs and agents, TypeScript, tar.gz, images' },
  { name: 'runner', file: 'docs/runner.md', title: 'Runner API', group: 'APIs', about: 'Code in, output out' },
  { name: 'languages', file: 'docs/languages.md', title: 'Languages', group: 'APIs', about: 'All of them: names, commands, how a run works, what it takes' },
  { name: 'reference-native', document: '/openapi/native.json', title: 'Native endpoints', group: 'Reference', about: 'Every call of the native API' },
  { name: 'reference-rds', document: '/openapi/rds.json', title: 'run-dat-sheesh endpoints', group: 'Reference', about: 'Every call of the run-dat-sheesh API' },
  { name: 'reference-runner', document: '/openapi/runner.json', title: 'Runner endpoints', group: 'Reference', about: 'Every call of the runner API' },
  { name: 'reference-server', document: '/openapi/server.json', title: 'Server endpoints', group: 'Reference', about: 'Health, metrics, OpenAPI documents' },
  { name: 's3', file: 'docs/s3.md', title: 'Object stores', group: 'Reference', about: 'Images and templates pushed and pulled' },
  { name: 'limits', file: 'docs/limits.md', title: 'Limits', group: 'Reference', about: 'Every bound' },
  { name: 'daemon', file: 'docs/daemon.md', title: 'The daemon', group: 'Running it', about: 'Configuration, systemd, metrics, restarts' },
  { name: 'images', file: 'images/README.md', title: 'Images', group: 'Running it', about: 'What is in them, and how to make your own' },
  { name: 'network', file: 'docs/network.md', title: 'Networks', group: 'Running it', about: 'What a policy becomes' },
  { name: 'security', file: 'docs/SECURITY.md', title: 'Security', group: 'Running it', about: 'What is between a guest and the host' },
  { name: 'bench', file: 'docs/bench.md', title: 'Figures', group: 'Running it', about: 'What was measured, and how' },
  { name: 'warm', file: 'docs/warm.md', title: 'Warm runtimes', group: 'Inside', about: 'How each runtime is made to wait' },
  { name: 'architecture', file: 'docs/ARCHITECTURE.md', title: 'Architecture', group: 'Inside', about: 'The parts, and why they are as they are' },
  { name: 'agent-protocol', file: 'docs/agent-protocol.md', title: 'Agent protocol', group: 'Inside', about: 'Between daemon and guest' },
  { name: 'style', file: 'docs/STYLE.md', title: 'Style', group: 'Inside', about: 'How the code is written' },
];

// Where a page is served.
export const address = (page) => (page.name === 'index' ? '/docs/' : `/docs/${page.name}.html`);
