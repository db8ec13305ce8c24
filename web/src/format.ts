// SPDX-License-Identifier: Apache-2.0
// Figures for people. Everything is in English and needs no locale data.

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined || !Number.isFinite(n)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = Math.abs(n), unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit++; }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${n < 0 ? '-' : ''}${trimZeros(value.toFixed(digits))} ${units[unit]}`;
}

export const mib = (n: number) => bytes(n * 1024 * 1024);

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

export function percent(fraction: number): string {
  const value = fraction * 100;
  return `${value < 10 ? trimZeros(value.toFixed(1)) : Math.round(value)} %`;
}

// 1234 -> "1.2 s"; for how long something took.
export function millis(ms: number): string {
  if (ms < 1) return `${trimZeros(ms.toFixed(2))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${trimZeros((ms / 1000).toFixed(1))} s`;
  return duration(ms / 1000);
}

// Seconds as the two largest units: "3 d 4 h".
export function duration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [size, unit] of [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']] as const) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) parts.push(`${n} ${unit}`);
    if (parts.length === 2 || (parts.length === 1 && n === 0)) break;
  }
  return parts.length ? parts.join(' ') : '0 s';
}

export function toMs(time: string | number): number {
  return typeof time === 'number' ? time : Date.parse(time);
}

// "12 s", "3 min", "5 h", "2 d": how long ago, in one unit.
export function age(time: string | number, now = Date.now()): string {
  const s = Math.max(0, Math.round((now - toMs(time)) / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

const two = (n: number) => String(n).padStart(2, '0');

// "2026-03-01 14:05:09", in the reader's zone.
export function dateTime(time: string | number): string {
  const d = new Date(toMs(time));
  if (Number.isNaN(d.getTime())) return '–';
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d)}`;
}

export function clock(time: Date | number): string {
  const d = new Date(time);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export const plural = (n: number, one: string, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

export const shortId = (id: string) => id.slice(0, 8);
