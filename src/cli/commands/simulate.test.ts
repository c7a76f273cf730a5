import { describe, expect, it } from 'vitest';
import { makePlace, type Place, useServer } from '../../client/testing/place.ts';
import type { Report } from '../simulation/report.ts';
import { runHere } from '../testing/run-here.ts';
import { serveApp } from '../testing/serve-app.ts';

const server = useServer();
const keyServer = useServer({ SESSION_SIGNING_KEY: '' });

const envOf = ({ url, key }: Place) => ({ WORLDKEEP_URL: url, WORLDKEEP_API_KEY: key });
const argsFor = ({ space }: Place, users: number, seconds: number) =>
  ['simulate', '--users', users, '--hz', 10, '--seconds', seconds, '--space', space, '--json'].map(String);

async function run(place: Place, users: number, seconds: number): Promise<Report> {
  const { code, stdout, stderr } = await runHere(argsFor(place, users, seconds), { env: envOf(place) });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

const idsOf = ({ run: name, users }: Report) => Array.from({ length: users }, (_, n) => `sim-${name}-${n}`);

async function expectNothingLeft(place: Place, ids: readonly string[]): Promise<void> {
  const { objects, users } = await place.state();
  expect({ objects, users }).toEqual({ objects: [], users: [] });
  expect(await place.call('GET', `/v1/spaces/${place.space}/presence`)).toMatchObject({ items: [] });
  for (const id of ids) await expect(place.call('GET', `/v1/users/${id}`)).rejects.toThrow('404');
}

describe('worldkeep simulate', () => {
  it('moves objects, finds all of them, and leaves nothing behind', async () => {
    const place = await makePlace(server());
    const report = await run(place, 5, 2);
    expect(report).toMatchObject({
      space: place.space,
      users: 5,
      credentials: 'session',
      moves: { planned: 100 },
      operations: { refused: 0 },
      seen: { watchers: 5 },
      lost: { objects: 0, first: [] },
      errors: {},
      reconnects: 0,
      leftBehind: { objects: 0, users: 0 },
    });
    const { moves, operations, seen } = report;
    expect(moves.made).toBeGreaterThan(0);
    expect(operations.sent).toBeGreaterThan(0);
    expect(operations.acknowledged).toBe(operations.sent);
    // Each of the five clients sees all changes of the four others.
    expect(seen.updates).toBe(operations.sent * 4);
    expect(seen.latency).not.toBeNull();
    await expectNothingLeft(place, idsOf(report));
  });

  it('plays more users than it watches', async () => {
    const place = await makePlace(server());
    const report = await run(place, 8, 1);
    const { operations, seen, lost } = report;
    expect(lost.objects).toBe(0);
    expect(operations.acknowledged).toBe(operations.sent);
    expect(seen.updates).toBeGreaterThan(operations.sent * 4);
    await expectNothingLeft(place, idsOf(report));
  });

  it('uses the API key if the server signs no sessions', async () => {
    const place = await makePlace(keyServer());
    const report = await run(place, 2, 1);
    expect(report).toMatchObject({ credentials: 'key', lost: { objects: 0 }, errors: {} });
    await expectNothingLeft(place, idsOf(report));
    const { code, stdout } = await runHere(argsFor(place, 101, 1), { env: envOf(place) });
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'no_signing_key',
      message: expect.stringContaining('use --users 100 or less'),
    });
    await expectNothingLeft(place, []);
  });

  it('deletes everything after Ctrl-C, and exits with 1', async () => {
    const place = await makePlace(server());
    const interrupted = new AbortController();
    const running = runHere(argsFor(place, 3, 3_600), {
      env: envOf(place),
      signal: interrupted.signal,
    });
    const listIds = async () => (await place.state()).objects.map(({ id }) => id);
    await expect.poll(async () => (await listIds()).length).toBe(3);
    const ids = await listIds();
    interrupted.abort();
    const { code, stdout } = await running;
    expect([code, JSON.parse(stdout).error.code]).toEqual([1, 'interrupted']);
    await expectNothingLeft(place, ids);
  });

  it('exits with 1 if an acknowledged position is not in the state', async () => {
    const place = await makePlace(server());
    const forgetful = await serveApp(async (request) => {
      const { pathname, search } = new URL(request.url);
      const response = await fetch(place.url + pathname + search, {
        method: request.method,
        headers: [...request.headers].filter(([name]) => !['host', 'connection'].includes(name)),
        body: request.body,
        ...(request.body !== null && { duplex: 'half' as const }),
      });
      const headers = new Headers(response.headers);
      for (const name of ['content-encoding', 'content-length', 'transfer-encoding']) headers.delete(name);
      if (!request.headers.get('accept')?.includes('ndjson'))
        return new Response(response.body, { status: response.status, headers });
      const lines = (await response.text()).split('\n').filter((line) => !line.includes('"kind":"object"'));
      return new Response(lines.join('\n'), { status: response.status, headers });
    });
    try {
      const { code, stdout } = await runHere(argsFor(place, 2, 1), {
        env: { ...envOf(place), WORLDKEEP_URL: forgetful.url },
      });
      expect(code).toBe(1);
      const report: Report = JSON.parse(stdout);
      expect(report.lost.objects).toBe(2);
      expect(report.lost.first.map(({ missingIn }) => missingIn)).toEqual(['state', 'state']);
      await expectNothingLeft(place, idsOf(report));
    } finally {
      await forgetful.close();
    }
  });

  it('says that a space is not there', async () => {
    const place = await makePlace(server());
    const { code, stderr } = await runHere(argsFor({ ...place, space: 'nowhere' }, 1, 1), {
      env: envOf(place),
    });
    expect([code, stderr]).toEqual([1, 'worldkeep: there is no space nowhere\n']);
  });
});
