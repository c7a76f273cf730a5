import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** The package's own package.json. It is found by name, because this code runs from src/ and, bundled, from dist/. */
export const PACKAGE_JSON = pathToFileURL(createRequire(import.meta.url).resolve('worldkeep/package.json'));
/** The folder of the migrations, with `meta/_journal.json`. */
export const MIGRATIONS = new URL('drizzle/migrations/', PACKAGE_JSON);
