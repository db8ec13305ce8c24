// SPDX-License-Identifier: Apache-2.0
// The build of the dashboard. Everything that it loads is in dist/, nothing comes from elsewhere.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';
import { buildDocs } from './docs/build.mjs';

const COMPRESSIBLE = /\.(html|js|css|svg|json|txt|webmanifest)$/;

// holmd holds the files in memory and never compresses: the .gz beside each is what browsers get.
function precompress() {
  let dir = '';
  return {
    name: 'holm-precompress',
    apply: 'build',
    configResolved(config) { dir = join(config.root, config.build.outDir); },
    closeBundle() {
      for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !COMPRESSIBLE.test(entry.name)) continue;
        const file = join(entry.parentPath, entry.name);
        const packed = gzipSync(readFileSync(file), { level: constants.Z_BEST_COMPRESSION });
        writeFileSync(`${file}.gz`, packed);
      }
    },
  };
}

// /docs and /swagger, into the same directory, before it is compressed.
function documents() {
  return { name: 'holm-docs', apply: 'build', writeBundle: ({ dir }) => buildDocs(dir) };
}

// `HOLM_DEV=http://127.0.0.1:8080 npm run dev` for work on the pages with a daemon that runs.
const daemon = process.env.HOLM_DEV ?? 'http://127.0.0.1:8080';
const toDaemon = { target: daemon, ws: true };

export default defineConfig({
  plugins: [documents(), precompress()],
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    target: 'es2022',
    // The terminal's chunk is large and loads when one is opened.
    chunkSizeWarningLimit: 600,
    assetsInlineLimit: 0,
    // A polyfill for old browsers would be an inline script, which the daemon's policy forbids.
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(
      ['/native', '/rds', '/v1', '/healthz', '/openapi'].map((path) => [path, toDaemon])),
  },
});
