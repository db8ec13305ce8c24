// SPDX-License-Identifier: Apache-2.0
// Archives as tests need them, good ones and those that nobody should make: built byte by byte, so that no
// library corrects what is wrong on purpose.
import { constants, deflateRawSync, gunzipSync, gzipSync } from 'node:zlib';

const BLOCK = 512;
const padding = (size) => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
const octal = (n, width) => n.toString(8).padStart(width - 1, '0') + '\0';

export function header(name, { type = '0', size = 0, mode = 0o644, mtime = 1700000000, link = '', prefix = '', magic = 'ustar\x0000' } = {}) {
  const h = Buffer.alloc(BLOCK);
  h.write(name, 0, 100);
  h.write(octal(mode, 8), 100);
  h.write(octal(0, 8) + octal(0, 8), 108);
  h.write(octal(size, 12) + octal(mtime, 12), 124);
  h.write(' '.repeat(8), 148);
  h.write(type, 156);
  h.write(link, 157, 100);
  h.write(magic, 257);
  h.write(prefix, 345, 155);
  h.write(h.reduce((a, b) => a + b, 0).toString(8).padStart(6, '0') + '\0 ', 148);
  return h;
}

const bytes = (data) => (typeof data === 'string' ? Buffer.from(data) : data);

export function entry(name, data = '', more = {}) {
  const content = bytes(data);
  return Buffer.concat([header(name, { size: content.length, ...more }), content, padding(content.length)]);
}

// A pax header (type x, or g for all entries) that says key=value.
export function pax(key, value, type = 'x') {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), bytes(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return entry('pax', Buffer.concat([Buffer.from(String(length)), rest]), { type });
}

// An entry whose name is in a header of GNU's kind before it.
export const long = (name, data = '', more = {}) => Buffer.concat([
  entry('././@LongLink', Buffer.concat([bytes(name), Buffer.alloc(1)]), { type: 'L' }), entry(name.slice(0, 99), data, more)]);

export const END = Buffer.alloc(2 * BLOCK);
export const tar = (...entries) => Buffer.concat([...entries, END]);
export const tgz = (...entries) => gzipSync(tar(...entries));

// One of `size` bytes that holds one file: the rest of the size is a name in gzip's own header.
export function tgzOfSize(name, content, size) {
  const z = gzipSync(tar(entry(name, content)), { level: 0 });
  const more = size - z.length - 1;
  if (more < 0) throw new Error(`${z.length} bytes are more than ${size}`);
  z[3] |= 8; // there is a name
  return Buffer.concat([z.subarray(0, 10), Buffer.alloc(more, 'n'), Buffer.alloc(1), z.subarray(10)]);
}

// The front of a gzip: `head`, then zeros, a GiB in a MiB, for as long as there is room.
export function bomb(head, size) {
  const flush = { finishFlush: constants.Z_FULL_FLUSH, level: 9 };
  const first = deflateRawSync(head, flush), zeros = deflateRawSync(Buffer.alloc(1 << 20), flush);
  const parts = [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), first];
  for (let room = size - 10 - first.length; room >= zeros.length; room -= zeros.length) parts.push(zeros);
  return Buffer.concat(parts);
}

const text = (b) => b.subarray(0, b.indexOf(0) < 0 ? b.length : b.indexOf(0)).toString();

// What is in an archive as Holm makes them: [{name, type, mode, uid, gid, size, mtime, data, link}].
export function list(gz) {
  const all = gunzipSync(gz), entries = [];
  let name, link;
  for (let at = 0; at + BLOCK <= all.length && all[at];) {
    const h = all.subarray(at, at + BLOCK), number = (from, to) => parseInt(text(h.subarray(from, to)), 8);
    const size = number(124, 136), data = all.subarray(at + BLOCK, at + BLOCK + size), type = String.fromCharCode(h[156]);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (type === 'L') name = text(data);
    else if (type === 'K') link = text(data);
    else {
      entries.push({ name: name ?? text(h.subarray(0, 100)), type, mode: number(100, 108), uid: number(108, 116), gid: number(116, 124),
        size, mtime: number(136, 148), data, link: link ?? text(h.subarray(157, 257)) });
      name = link = undefined;
    }
  }
  return entries;
}

// --- what is refused ---

const MIB = 1 << 20;
const INVALID = 'Invalid archive: ';
const evil = (name, more) => tgz(entry('first', 'x'), entry(name, 'evil', more));
const special = (type, link) => tgz(entry('first', 'x'), header('evil', { type, link }));
const fine = tgz(entry('first', 'x'));

// [what it is, its bytes, status, message]. Each holds a good file `first` before what is wrong, where it can.
export const refused = () => [
  ['traversal', evil('../evil'), 400, `${INVALID}the name "../evil" leads upwards`],
  ['traversal in the middle', evil('a/../../evil'), 400, `${INVALID}the name "a/../../evil" leads upwards`],
  ['traversal that comes back', evil('a/../evil'), 400, `${INVALID}the name "a/../evil" leads upwards`],
  ['traversal in a pax header', tgz(entry('first'), pax('path', '../../etc/evil'), entry('x', 'evil')), 400,
    `${INVALID}the name "../../etc/evil" leads upwards`],
  ['traversal in a long name', tgz(entry('first'), long('../../etc/evil', 'evil')), 400, `${INVALID}the name "../../etc/evil" leads upwards`],
  ['traversal in a prefix', evil('evil', { prefix: '../../etc' }), 400, `${INVALID}the name "../../etc/evil" leads upwards`],
  ['absolute', evil('/etc/evil'), 400, `${INVALID}the name "/etc/evil" is absolute`],
  ['absolute in a pax header', tgz(pax('path', '/etc/evil'), entry('x')), 400, `${INVALID}the name "/etc/evil" is absolute`],
  ['symlink, then a write through it', tgz(entry('first'), header('evil', { type: '2', link: '/etc' }), entry('evil/evil', 'x')), 400,
    `${INVALID}"evil" is a symbolic link`],
  ['symlink inside', special('2', 'first'), 400, `${INVALID}"evil" is a symbolic link`],
  ['hard link', special('1', '/etc/passwd'), 400, `${INVALID}"evil" is a hard link`],
  ['hard link with a content', tgz(entry('evil', 'content', { type: '1', link: 'first' })), 400, `${INVALID}"evil" is a hard link`],
  ['character device', special('3'), 400, `${INVALID}"evil" is a device`],
  ['block device', special('4'), 400, `${INVALID}"evil" is a device`],
  ['FIFO', special('6'), 400, `${INVALID}"evil" is a FIFO`],
  ['sparse file', special('S'), 400, `${INVALID}"evil" is a sparse file`],
  ['pax sparse file', tgz(pax('GNU.sparse.name', '/etc/evil'), entry('x')), 400, `${INVALID}sparse files are not taken`],
  ['unknown kind', special('Z'), 400, `${INVALID}"evil" is of an unknown kind`],
  ['empty name', evil(''), 400, `${INVALID}the name "" is empty`],
  ['NUL in a name', tgz(pax('path', 'a\0/../evil'), entry('x')), 400, `${INVALID}the name "a?/../evil" has a NUL`],
  ['component of 256 bytes', tgz(long(`a/${'n'.repeat(256)}`)), 400, `${INVALID}the name "a/${'n'.repeat(78)}..." is too long`],
  ['name of 4097 bytes', tgz(long(`${'n/'.repeat(2048)}n`)), 400, `${INVALID}the name "${'n/'.repeat(40)}..." is too long`],
  ['name that is too long there', tgz(entry('first'), long('n/'.repeat(2040))), 400, `${INVALID}a name is too long for where it goes`],
  ['two names', tgz(entry('././@LongLink', 'a\0', { type: 'L' }), pax('path', 'b'), entry('c')), 400, `${INVALID}an entry's name is given twice`],
  ['global path', tgz(pax('path', '../evil', 'g'), entry('x')), 400, `${INVALID}a global header gives a path or size`],
  ['file where a directory must be', tgz(entry('a', 'file'), entry('a/b', 'below')), 400, `${INVALID}a name is both a file's and a directory's`],
  ['the same in the other order', tgz(entry('a/b', 'below'), entry('a', 'file')), 400, `${INVALID}a name is both a file's and a directory's`],
  ['cut off gzip', fine.subarray(0, -3), 400, `${INVALID}it is cut off`],
  ['cut off tar', gzipSync(tar(entry('first', 'x'), entry('b', 'content')).subarray(0, 1700)), 400, `${INVALID}it is cut off`],
  ['tar without an end', gzipSync(entry('first', 'x')), 400, `${INVALID}it is cut off`],
  ['junk behind the gzip', Buffer.concat([fine, Buffer.from('junk')]), 400, `${INVALID}something follows its end`],
  ['zeros behind the gzip', Buffer.concat([fine, Buffer.alloc(512)]), 400, `${INVALID}something follows its end`],
  ['a second gzip', Buffer.concat([fine, fine]), 400, `${INVALID}something follows its end`],
  ['junk behind the tar', gzipSync(Buffer.concat([tar(entry('first', 'x')), Buffer.from('junk')])), 400, `${INVALID}something follows its end`],
  ['a second tar', gzipSync(Buffer.concat([tar(entry('first', 'x')), tar(entry('../evil'))])), 400, `${INVALID}something follows its end`],
  ['wrong checksum of a header', (() => {
    const t = tar(entry('first', 'x'), entry('b'));
    t[2 * BLOCK] ^= 1;
    return gzipSync(t);
  })(), 400, `${INVALID}a header is damaged`],
  ['wrong checksum of the gzip', Buffer.concat([fine.subarray(0, -8), Buffer.alloc(4), fine.subarray(-4)]), 400,
    `${INVALID}its compressed data is damaged`],
  ['text', Buffer.from('this is no archive at all'), 400, `${INVALID}it is no gzip`],
  ['a tar that is not compressed', tar(entry('first', 'x')), 400, `${INVALID}it is no gzip`],
  ['gzip of text', gzipSync('text '.repeat(300)), 400, `${INVALID}it is no tar`],
  ['nothing', Buffer.alloc(0), 400, `${INVALID}it is empty`],
  ['10,001 entries', tgz(...Array.from({ length: 10001 }, (_, i) => entry(`d${i % 50}/f${i}`))), 413, 'Archive has more than 10000 entries'],
  ['50 MiB and a byte', tgz(entry('first', Buffer.alloc(50 * MIB)), entry('evil', 'x')), 413, 'Archive unpacks to more than 52428800 bytes'],
  ['a file that says it is large', tgz(entry('first'), header('evil', { size: 8 * 2 ** 30 - 1 })), 413,
    'Archive unpacks to more than 52428800 bytes'],
  ['a bomb of small files', (() => {
    const small = tgz(...Array.from({ length: 60 }, (_, i) => entry(`f${i}`, Buffer.alloc(MIB))));
    return small;
  })(), 413, 'Archive unpacks to more than 52428800 bytes'],
  ['10 GiB of zeros behind the end', bomb(tar(entry('first', 'x')), 10 * MIB), 413, 'Archive unpacks to too much'],
  ['more than 10 MiB', tgzOfSize('evil', 'x', 10 * MIB + 1), 413, 'Body too large'],
];
