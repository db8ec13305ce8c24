// SPDX-License-Identifier: Apache-2.0
// Kernels and root file systems as people bring them: made here, out of what the host has.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const TMP = process.env.HOLM_E2E_TMP;

// Runs a program that has to succeed; its standard output.
export function run(program, ...args) {
  const r = spawnSync(program, args, { encoding: 'utf8', cwd: TMP, maxBuffer: 1 << 24 });
  if (r.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${r.error ?? r.stderr}`);
  return r.stdout;
}

// One block of LZ4 out of `input` to the end of what `out` has; returns where it ends there.
function lz4Block(input, out, at) {
  for (let i = 0; i < input.length;) {
    const token = input[i++];
    let literals = token >> 4;
    if (literals === 15) for (let b = 255; b === 255;) literals += b = input[i++];
    input.copy(out, at, i, i + literals);
    i += literals;
    at += literals;
    if (i >= input.length) break;
    const from = at - input.readUInt16LE(i);
    i += 2;
    let match = token & 15;
    if (match === 15) for (let b = 255; b === 255;) match += b = input[i++];
    for (let n = 0; n < match + 4; n++) out[at + n] = out[from + n];
    at += match + 4;
  }
  return at;
}

// The vmlinux in a bzImage that is packed as Debian packs its cloud kernel (LZ4 in the kernel's own, older frame) or
// its other kernels (xz). The size of what is in it stands behind it.
export function vmlinuxOf(bzImage) {
  const setup = ((bzImage[0x1f1] || 4) + 1) * 512;
  const offset = setup + bzImage.readUInt32LE(0x248);
  const payload = bzImage.subarray(offset, offset + bzImage.readUInt32LE(0x24c));
  const size = payload.readUInt32LE(payload.length - 4);
  const packed = payload.subarray(0, payload.length - 4);
  if (packed.readUInt32LE(0) !== 0x184c2102) {
    const r = spawnSync('xz', ['-dc'], { input: packed, maxBuffer: 1 << 28 });
    if (r.stdout.length !== size) throw new Error('this kernel is packed otherwise');
    return r.stdout;
  }
  const out = Buffer.alloc(size);
  let at = 0;
  for (let i = 4; i + 4 < packed.length;) {
    const length = packed.readUInt32LE(i);
    const block = packed.subarray(i + 4, i + 4 + length);
    const piece = Buffer.alloc(8 << 20);
    const n = lz4Block(block, piece, 0);
    piece.copy(out, at, 0, n);
    at += n;
    i += 4 + length;
  }
  if (at !== size) throw new Error(`the kernel has ${at} bytes, not ${size}`);
  return out;
}

// A tree with a shell and nothing else: no init, no bash, no /workspace, no user but root.
export function makeTree(name) {
  const tree = join(TMP, name);
  mkdirSync(join(tree, 'bin'), { recursive: true });
  mkdirSync(join(tree, 'etc'));
  cpSync('/bin/busybox', join(tree, 'bin/busybox'), { dereference: true });
  for (const applet of ['sh', 'ls', 'cat', 'uname', 'id', 'sleep', 'cut', 'grep', 'sync', 'mkdir', 'touch', 'df']) {
    symlinkSync('busybox', join(tree, 'bin', applet));
  }
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
  return tree;
}

// An ext4 of that tree; the tree is gone afterwards.
export function makeRootfs(tree, size = '64M') {
  const file = `${tree}.ext4`;
  run('mke2fs', '-q', '-t', 'ext4', '-d', tree, file, size);
  rmSync(tree, { recursive: true });
  return file;
}

// Debian's kernel for all machines, whose drivers are modules: {file, release, tree}, or undefined without a package
// source to have it from.
export function debianKernel() {
  const depends = run('apt-cache', 'depends', 'linux-image-amd64');
  const name = /Depends: (linux-image-[0-9]\S+)/.exec(depends)?.[1];
  if (!name) return undefined;
  const r = spawnSync('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', name], { cwd: TMP });
  const deb = readdirSync(TMP).find((f) => f.startsWith(name) && f.endsWith('.deb'));
  if (r.status !== 0 || !deb) return undefined;
  const tree = join(TMP, 'kernel');
  run('dpkg-deb', '-x', deb, tree);
  rmSync(join(TMP, deb));
  const [release] = readdirSync(join(tree, 'lib/modules'));
  return { file: join(tree, `boot/vmlinuz-${release}`), release, tree };
}

// Its modules, those that a VM could need and what they stand on, into a tree for a root file system.
export function addModules(kernel, tree) {
  const from = join(kernel.tree, 'lib/modules', kernel.release);
  const to = join(tree, 'lib/modules', kernel.release);
  const parts = ['modules.order', 'modules.builtin', 'kernel/drivers/virtio', 'kernel/drivers/block', 'kernel/lib',
    'kernel/drivers/char', 'kernel/drivers/net/virtio_net.ko', 'kernel/drivers/net/net_failover.ko', 'kernel/crypto',
    'kernel/net/core', 'kernel/fs/ext4', 'kernel/fs/jbd2', 'kernel/fs/mbcache.ko'];
  for (const part of parts.filter((p) => existsSync(join(from, p)))) {
    mkdirSync(dirname(join(to, part)), { recursive: true });
    cpSync(join(from, part), join(to, part), { recursive: true });
  }
  return join(to, 'kernel');
}
