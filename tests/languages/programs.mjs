// SPDX-License-Identifier: Apache-2.0
// The languages of images/languages.json and their test programs: programs/NAME/CHECK.EXTENSION, and
// in programs/NAME/skip a line "CHECK: why" for each that the language cannot do.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const TABLE = join(HERE, '../../images/languages.json');

// What each language has a program for; hello is in the table.
export const CHECKS = ['stdin', 'exit3', 'stderr', 'loop', 'broken', 'unicode', 'mib'];

const directory = (language) => join(HERE, 'programs', language.name);

// All rows, with what the program prints made explicit.
export function languages() {
  return JSON.parse(readFileSync(TABLE, 'utf8')).languages.map((row) => ({
    ...row,
    hello: row.hello.map((line) => `${line}\n`).join(''),
    expect: row.expect ?? 'Hello, World!\n',
  }));
}

// {CHECK: why not}
export function skipped(language) {
  const path = join(directory(language), 'skip');
  if (!existsSync(path)) return {};
  const reasons = {};
  for (const line of readFileSync(path, 'utf8').split('\n').filter((l) => l && !l.startsWith('#'))) {
    const [, check, reason] = /^(\w+): (\S.*)$/.exec(line) ?? [];
    if (!CHECKS.includes(check)) throw new Error(`${path}: "${line}" is not "CHECK: why", CHECK one of ${CHECKS.join(' ')}`);
    if (reasons[check]) throw new Error(`${path}: ${check} twice`);
    reasons[check] = reason;
  }
  return reasons;
}

const pathOf = (language, check) => join(directory(language), check + language.extension);

// The source of a check's program.
export function program(language, check) {
  return readFileSync(pathOf(language, check), 'utf8');
}

// What is missing or too much, one line each.
export function findings() {
  const all = languages(), found = [];
  for (const language of all) {
    if (!existsSync(directory(language))) {
      // Without the toolchain, which only an operator can bring, nobody could have run its programs.
      if (!language.toolchain) found.push(`${language.name}: no tests/languages/programs/${language.name}`);
      continue;
    }
    const reasons = skipped(language);
    for (const check of CHECKS) {
      const there = existsSync(pathOf(language, check));
      if (!there && !reasons[check]) found.push(`${language.name}: neither ${check}${language.extension} nor a reason in skip`);
      if (there && reasons[check]) found.push(`${language.name}: ${check}${language.extension} is there, and skip says "${reasons[check]}"`);
    }
    const known = new Set(['skip', ...CHECKS.map((check) => check + language.extension)]);
    for (const name of readdirSync(directory(language))) {
      if (!known.has(name)) found.push(`${language.name}: ${name} is no program of a check`);
    }
  }
  for (const name of readdirSync(join(HERE, 'programs'))) {
    if (!all.some((language) => language.name === name)) found.push(`${name}: programs of no language`);
  }
  return found;
}
