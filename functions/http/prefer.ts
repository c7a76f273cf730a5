import type { AppContext } from './context.ts';

/** The preference of a caller: `wait` for the commit, or an answer before it (`respond-async`); null: the default of the route. */
export type Wish = 'wait' | 'respond-async' | null;

/** Reads Prefer (RFC 7240). Unknown preferences are ignored, as the RFC says. Of both known ones, the first counts. */
export function readPrefer(c: AppContext): Wish {
  const header = c.req.header('Prefer');
  if (header === undefined) return null;
  for (const preference of header.toLowerCase().split(',')) {
    const [name = ''] = preference.split(/[=;]/);
    const wish = name.trim();
    if (wish === 'wait' || wish === 'respond-async') return wish;
  }
  return null;
}

/** Tells the caller that the preference was used. */
export function applyWish(c: AppContext, wish: Wish): void {
  if (wish === null) return;
  c.header('Preference-Applied', wish);
  c.header('Vary', 'Prefer', { append: true });
}

/** Whether the caller wants to see the result of a write that is answered without one by default. */
export function wantsRepresentation(c: AppContext): boolean {
  const preferences = (c.req.header('Prefer') ?? '').toLowerCase().split(',');
  return preferences.some((preference) => /^\s*return\s*=\s*"?representation"?\s*(;|$)/.test(preference));
}
