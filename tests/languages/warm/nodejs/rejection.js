// SPDX-License-Identifier: Apache-2.0
process.on('exit', (code) => console.log('exit', code));
async function main() {
  await null;
  throw new Error('nobody catches this');
}
main();
