// SPDX-License-Identifier: Apache-2.0
process.stdin.on('data', (d) => console.log('data', d)).on('end', () => console.log('end', process.stdin.isTTY));
