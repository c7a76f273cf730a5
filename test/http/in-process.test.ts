import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeContract } from './api.ts';
import { createCall } from './client.ts';
import { OVER_HTTP } from './runtimes.ts';
import { keepConsole, makeEnv, startInProcess } from './targets.ts';

describe('HTTP, in-process on Node', () => {
  let restoreConsole: () => void;
  beforeAll(() => {
    restoreConsole = keepConsole();
  });
  afterAll(() => restoreConsole());

  // The other cases run on workerd and in a process of Node, in other files of this folder.
  describeContract({ ...OVER_HTTP, start: startInProcess });

  describe('the log', () => {
    it('names the failed request, and contains no sent data', async () => {
      const target = await startInProcess(makeEnv({ DATABASE_HTTP_URL: 'http://127.0.0.1:9/sql' }));
      const key = `wk_someone_${'s'.repeat(43)}`;
      const { status } = await createCall(target, key)('PUT', '/v1/spaces/here/objects/o', {
        json: { name: 'payload' },
        headers: { 'X-Request-Id': 'logged-1' },
      });
      expect(status).toBe(503);
      const lines = target.lines.filter((line) => line.includes('logged-1'));
      expect(lines.map((line) => JSON.parse(line))).toMatchObject([
        { event: 'request', requestId: 'logged-1', code: 'store_unavailable' },
      ]);
      expect(lines.join()).not.toMatch(/payload|sssss|someone/);
    });

    it('reports an invalid configuration once', async () => {
      const target = await startInProcess(makeEnv({ REDIS_PORT: 'sixty' }));
      const before = target.lines.length;
      for (let i = 0; i < 3; i++) await createCall(target, null)('GET', '/livez');
      const lines = target.lines.slice(before);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain('REDIS_PORT must be a whole number');
    });
  });
});
