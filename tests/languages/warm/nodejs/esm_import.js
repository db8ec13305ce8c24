// SPDX-License-Identifier: Apache-2.0
import('fs').then(async (fs) => {
  fs.writeFileSync('other.mjs', 'export const where = import.meta.url; export default await Promise.resolve(42); console.log(typeof require);');
  const other = await import('./other.mjs');
  console.log(other.default, other.where, Object.keys(other));
  await import('./nothing.mjs');
}).catch((e) => console.log(e.code, e.message));
