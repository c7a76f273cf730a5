/** Returns a file of dist/assets, or 404. Workers: a binding. Node: `openAssets`. */
export type FetchAsset = (request: Request) => Promise<Response>;

/** The page at `/`. `getHome` sends it to browsers. */
export const PAGE_FILE = '/index.html';
/** The page at `/ops`. */
export const OPS_FILE = '/ops.html';

const NOSNIFF = { 'X-Content-Type-Options': 'nosniff' };
const REVALIDATED = 'public, max-age=0, must-revalidate';

/** Headers of each page, besides its content security policy. */
const PAGE_HEADERS = {
  ...NOSNIFF,
  'Cache-Control': 'no-cache',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
  'Referrer-Policy': 'no-referrer',
};

/**
 * The headers of the files of dist/assets, by path. The platform reads them from `_headers`, functions/node-assets.ts from here.
 * On Node, only these paths are served.
 */
export const STATIC_FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [PAGE_FILE]: {
    ...PAGE_HEADERS,
    'Content-Security-Policy': [
      "default-src 'none'",
      // Decoders of compressed models are WebAssembly.
      "script-src 'self' 'wasm-unsafe-eval'",
      "style-src 'self'",
      "img-src 'self' blob: data:",
      // three.js loads the textures of a model from blob: and data: URLs.
      "connect-src 'self' blob: data:",
      "font-src 'self'",
      "worker-src 'self' blob:",
      "manifest-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
  },
  [OPS_FILE]: {
    ...PAGE_HEADERS,
    'Content-Security-Policy': [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
  },
  // Names in this folder have the hash of the content.
  '/page/*': { ...NOSNIFF, 'Cache-Control': 'public, max-age=31536000, immutable' },
  '/docs/assets/*': { ...NOSNIFF, 'Cache-Control': REVALIDATED },
  '/docs/assets/LICENSE': { 'Content-Type': 'text/plain; charset=utf-8' },
  '/licences.txt': { ...NOSNIFF, 'Cache-Control': REVALIDATED },
};
