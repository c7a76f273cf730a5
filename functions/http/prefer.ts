import type { AppContext } from './context.ts';

/** What a caller would rather have: `wait` for the commit, or an answer before it (`respond-async`); null: whatever is usual. */
export type Wish = 'wait' | 'respond-async' | null;

/** Reads Prefer (RFC 7240). What is not served here is passed over, as the header has it; of both, the first counts. */
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

/** Tells the caller that the wish was heeded. */
export function applyWish(c: AppContext, wish: Wish): void {
  if (wish === null) return;
  c.header('Preference-Applied', wish);
  c.header('Vary', 'Prefer', { append: true });
}
