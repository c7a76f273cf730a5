import type { AppContext } from './context.ts';

interface WrittenOptions {
  created?: boolean;
  /** The path of what was created. */
  location?: string;
  headers?: Record<string, string>;
}

/**
 * The answer to a write. What the write created holds only what its caller sent, so every caller is shown it. What the write
 * changed may hold more: a key without `read` gets 204.
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
