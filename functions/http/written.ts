import type { AppContext } from './context.ts';

interface WrittenOptions {
  created?: boolean;
  /** The path of the created thing. */
  location?: string;
  headers?: Record<string, string>;
}

/**
 * The answer to a write. A created object holds only the caller's own data, so every caller sees it. A changed object may hold more, so
 * a key without `read` gets 204.
 */
export function answerWritten(
  c: AppContext,
  written: object,
  { created = false, location, headers = {} }: WrittenOptions,
): Response {
  if (created)
    return c.json(written, 201, { ...headers, ...(location !== undefined && { Location: location }) });
  const principal = c.get('principal');
  const mayRead = principal.kind === 'session' || principal.scopes.includes('read');
  return mayRead ? c.json(written, 200, headers) : c.body(null, 204, headers);
}
