import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { stack, uniqueName } from './support.ts';

/** Before it loads the package, this program removes the functions that Node 20 lacks. */
const LACKING = `
  for (const [on, names] of [[Promise, ['withResolvers', 'try']], [Map, ['groupBy']], [Object, ['groupBy']],
    [URL, ['parse']], [Array, ['fromAsync']], [Set.prototype, ['union', 'difference', 'intersection']]])
    for (const name of names) delete on[name];
`;
const PROGRAM = `${LACKING}
  const { BatchProcessor, CacheManager, parseConfig, PersistenceLayer } = await import('worldkeep');
  const [databaseUrl, redisUrl, tenantId] = process.argv.slice(1);
  const { hostname: host, port, password } = new URL(redisUrl);
  const persistence = new PersistenceLayer({ databaseUrl, tenantId });
  const cache = new CacheManager({ host, port, password: decodeURIComponent(password), tenantId });
  const batches = new BatchProcessor(persistence, cache);
  await persistence.connect();
  await persistence.saveObject({ id: 'o', position: { x: 1, y: 2, z: 3 } });
  const added = ['a', 'b'].map((updatedBy) => batches.add('objectUpdates', { objectId: 'o', name: updatedBy, updatedBy }));
  await batches.flush('objectUpdates');
  const durability = (await Promise.all(added)).map((result) => result.durability);
  await batches.shutdown();
  const world = await persistence.loadWorldState('main');
  await cache.cacheWorldState('main', world);
  const { objects } = await cache.getCachedWorldState('main');
  await Promise.all([cache.disconnect(), persistence.disconnect()]);
  const { database } = parseConfig({ DATABASE_URL: databaseUrl });
  console.log(JSON.stringify({ durability, objects, isConfigured: database.url === databaseUrl }));
`;

it('works in a Node without the functions that Node 20 lacks', async () => {
  const { databaseUrl, redisUrl } = stack();
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', PROGRAM, databaseUrl, redisUrl, uniqueName('node20')],
    { cwd: new URL('..', import.meta.url) },
  );
  expect(JSON.parse(stdout)).toMatchObject({
    durability: ['queued', 'queued'],
    objects: [{ id: 'o', name: 'b', updatedBy: 'b', position: { x: 1, y: 2, z: 3 } }],
    isConfigured: true,
  });
});
