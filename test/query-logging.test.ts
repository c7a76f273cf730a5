import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDoor } from './http/client.ts';
import { keepConsole, makeEnv, startInProcess, type Target } from './http/targets.ts';

const VALUE = 'a-value-that-no-line-may-hold';

interface Line {
  event: string;
  tenantId: string;
  ms: number;
  failed: boolean;
  statements: { sql: string; rows: number | null }[];
}

describe('QUERY_LOGGING_ENABLED', () => {
  let restoreConsole: () => void;
  beforeAll(() => {
    restoreConsole = keepConsole();
  });
  afterAll(() => restoreConsole());

  const start = (changes: Record<string, string>) =>
    startInProcess(makeEnv({ LOG_LEVEL: 'info', ...changes }));
  const write = async (target: Target) => {
    const from = target.lines.length;
    const door = await openDoor(target);
    await door.call('PUT', '/v1/spaces/here', { json: { name: VALUE } });
    await door.call('PUT', '/v1/spaces/here/objects/lamp', { json: { name: VALUE, properties: { VALUE } } });
    await door.call('GET', '/v1/spaces/here/objects');
    const lines = target.lines.slice(from);
    const queries = lines
      .map((line): Line => JSON.parse(line))
      .filter(({ event, tenantId }) => event === 'query' && tenantId === door.tenantId);
    return { lines, queries };
  };

  it('logs the statements of each transaction with time and rows, and no value', async () => {
    const { lines, queries } = await write(await start({ QUERY_LOGGING_ENABLED: 'true' }));
    expect(queries.length).toBeGreaterThan(3);
    const statements = queries.flatMap((query) => query.statements);
    for (const { sql } of statements) expect(sql).toMatch(/^(select|insert|update|delete|with|call)\b/i);
    expect(statements.filter(({ sql }) => /\bapply_batch\b/.test(sql)).length).toBeGreaterThan(0);
    expect(queries.every(({ ms, failed }) => ms >= 0 && !failed)).toBe(true);
    expect(statements.some(({ rows }) => rows === 1)).toBe(true);
    expect(lines.join('\n')).not.toContain(VALUE);
  });

  it('is off by default', async () => {
    const { queries } = await write(await start({}));
    expect(queries).toEqual([]);
  });
});
