// SPDX-License-Identifier: Apache-2.0
// The smallest files that pass for a kernel and a root file system: right as far as Holm looks at them. With other
// bytes behind them when `mark` differs.

export function makeKernel(mark = 0) {
  const b = Buffer.alloc(4096);
  b[0x1f1] = 3;
  b.writeUInt32LE((4096 - 4 * 512) / 16, 0x1f4);
  b.writeUInt16LE(0xaa55, 0x1fe);
  b.write('HdrS', 0x202);
  b.writeUInt16LE(0x020f, 0x206);
  b[0x211] = 1;
  b.writeUInt16LE(1, 0x236);
  b[4095] = mark;
  return b;
}

export function makeRootfs(mib = 1) {
  const b = Buffer.alloc(mib << 20);
  const put = (at, value) => b.writeUInt32LE(value, 1024 + at);
  put(0x00, 16);
  put(0x04, mib << 10); // blocks of 1024 bytes
  put(0x14, 1);
  put(0x20, 8192);
  put(0x28, 16);
  put(0x38, 0xef53);
  put(0x5c, 0x4);
  put(0x60, 0x2c2);
  put(0xe0, 8);
  return b;
}
