import type { AppContext } from './context.ts';

/** The path of `PUBLIC_URL`, without a slash at the end: where another app has mounted this one. Usually empty. */
export function readBasePath(c: AppContext): string {
  // A wrong configuration is answered before there are services.
  const publicUrl = c.get('services')?.config.publicUrl ?? null;
  return publicUrl === null ? '' : new URL(publicUrl).pathname.replace(/\/$/, '');
}
