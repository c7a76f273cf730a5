import type { Connection } from '../connection.ts';
import { systemCode } from '../errors.ts';
import { type Finding, ok, wrong } from './finding.ts';

/** Whether the API answers, is ready, and knows the key. */
export async function examineApi(
  { url, apiKey, keyFrom }: Connection,
  timeoutMs: number,
): Promise<Finding[]> {
  const ask = (path: string, headers: Record<string, string> = {}) =>
    fetch(url + path, { headers, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
  try {
    const [ready, known] = await Promise.all([
      ask('/readyz'),
      ask('/v1/spaces?limit=1', { authorization: `Bearer ${apiKey}` }),
    ]);
    return [await judgeReadiness(ready, url), await judgeKey(known, keyFrom)];
  } catch (error) {
    const reason = systemCode(error) ?? (error instanceof Error ? error.name : 'no answer');
    return [
      wrong(
        'api',
        `the API does not answer at ${url} (${reason})`,
        'Check WORLDKEEP_URL, and that it is deployed or runs.',
      ),
    ];
  }
}

async function judgeReadiness(response: Response, url: string): Promise<Finding> {
  const detail = await readDetail(response);
  if (response.status === 200) return ok('api', `the API at ${url} is ready`);
  return wrong(
    'api',
    `the API at ${url} is not ready: ${detail ?? `it answers ${response.status}`}`,
    'Read the results for Postgres and Redis below. If they are ok, read the log of the functions.',
  );
}

async function judgeKey(response: Response, keyFrom: string): Promise<Finding> {
  const detail = await readDetail(response);
  // A key without `read` is a key all the same.
  if (response.status === 200 || response.status === 403) return ok('api.key', 'the API knows the key');
  if (response.status === 401)
    return wrong(
      'api.key',
      'the API does not know the key, or it has ended',
      `Check ${keyFrom}, or make a key: DATABASE_URL=… worldkeep keys create --tenant T --scopes read,write,admin.`,
    );
  return wrong(
    'api.key',
    `the API could not look the key up: ${detail ?? `it answers ${response.status}`}`,
    'Read the results for Postgres and Redis below.',
  );
}

async function readDetail(response: Response): Promise<string | null> {
  const body: unknown = await response.json().catch(() => null);
  if (typeof body !== 'object' || body === null || !('detail' in body)) return null;
  return typeof body.detail === 'string' ? body.detail : null;
}
