// SPDX-License-Identifier: Apache-2.0

// How many bytes at the beginning of `next` are the end of `before` already.
export function overlap(before: Uint8Array, next: Uint8Array): number {
  for (let n = Math.min(before.length, next.length); n > 0; n--) {
    let is = true;
    for (let i = 0; is && i < n; i++) is = before[before.length - n + i] === next[i];
    if (is) return n;
  }
  return 0;
}
