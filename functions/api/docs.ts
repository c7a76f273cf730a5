import { readBasePath } from '../http/base-path.ts';
import type { AppContext } from '../http/context.ts';
import { readQuery } from '../http/query.ts';
import { DOCS_ASSETS_PATH as ASSETS } from '../openapi/assets.ts';

const START = `window.addEventListener('DOMContentLoaded', () => {
  SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null });
});`;

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>worldkeep API</title>
<link rel="icon" type="image/png" href="${ASSETS}/favicon-32x32.png">
<link rel="stylesheet" href="${ASSETS}/swagger-ui.css">
<script src="${ASSETS}/swagger-ui-bundle.js" defer></script>
<script>${START}</script>
</head>
<body><div id="docs"></div><noscript>This page needs JavaScript; <a href="/openapi.json">/openapi.json</a> does not.</noscript></body>
</html>
`;

/** By the path below which the API is mounted. Built for the first who asks, once in an isolate. */
const written = new Map<string, string>();
let policy: Promise<string> | null = null;

/** GET /openapi.json */
export function getOpenApi(c: AppContext): Response {
  readQuery(c, []);
  const basePath = readBasePath(c);
  const text = written.get(basePath) ?? JSON.stringify(c.get('describeApi')());
  written.set(basePath, text);
  return c.body(text, 200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' });
}

/** GET /docs. Nothing is loaded from another host, and nothing but the one script in the page and the package's runs. */
export async function getDocs(c: AppContext): Promise<Response> {
  readQuery(c, []);
  policy ??= writePolicy();
  return c.html(PAGE, 200, {
    'Content-Security-Policy': await policy,
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-cache',
  });
}

async function writePolicy(): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(START)));
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${btoa(String.fromCharCode(...digest))}'`,
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
