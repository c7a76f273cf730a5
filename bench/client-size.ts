#!/usr/bin/env node
/**
 * `npm run bench:client-size`: the size of the SDK and of others, bundled for a browser, minified and compressed with gzip in the same
 * way. It installs the others into a temporary folder.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const PROJECT = resolve(import.meta.dirname, '..');
const OTHERS = [
  '@liveblocks/client@3.24.2',
  '@colyseus/sdk@0.18.4',
  'yjs@13.6.33',
  'y-websocket@3.1.0',
  'partysocket@1.3.0',
];
/** The import that a program needs to connect. */
const PROGRAMS: Record<string, string> = {
  'worldkeep/client': `import { connect } from 'worldkeep/client'; globalThis.keep = connect;`,
  Liveblocks: `import { createClient } from '@liveblocks/client'; globalThis.keep = createClient;`,
  Colyseus: `import { Client } from '@colyseus/sdk'; globalThis.keep = Client;`,
  'Yjs with y-websocket': `import { Doc } from 'yjs'; import { WebsocketProvider } from 'y-websocket'; globalThis.keep = [Doc, WebsocketProvider];`,
  PartySocket: `import PartySocket from 'partysocket'; globalThis.keep = PartySocket;`,
};

const folder = mkdtempSync(join(tmpdir(), 'worldkeep-sizes-'));
try {
  writeFileSync(join(folder, 'package.json'), '{"private": true}');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent', ...OTHERS], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for (const [name, contents] of Object.entries(PROGRAMS)) {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: name.startsWith('worldkeep') ? PROJECT : folder },
      bundle: true,
      minify: true,
      write: false,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      define: { 'process.env.NODE_ENV': '"production"' },
      logLevel: 'error',
    });
    const bytes = outputFiles[0]?.contents ?? new Uint8Array();
    const gzip = gzipSync(bytes, { level: 9 }).length;
    console.log(
      `${name.padEnd(22)}${bytes.length.toLocaleString('en-US').padStart(9)} bytes${gzip.toLocaleString('en-US').padStart(9)} gzip`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
