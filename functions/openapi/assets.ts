/** Where the page at /docs finds its files. The platform serves them on Workers, functions/node.ts on Node. */
export const DOCS_ASSETS_PATH = '/docs/assets';

/** The files of swagger-ui-dist that are served, with their media types. */
export const DOCS_ASSETS = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'swagger-ui-bundle.js.LICENSE.txt': 'text/plain; charset=utf-8',
  'favicon-32x32.png': 'image/png',
  LICENSE: 'text/plain; charset=utf-8',
} as const;
