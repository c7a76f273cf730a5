import { Euler, Object3D, Vector3 } from 'three';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatchProcessor, CacheManager, PersistenceLayer } from '../src/index.ts';
import { eulerToQuaternion } from '../src/world/quaternion.ts';
import { makeWorld, openTestPg } from './layers.ts';
import { stack, uniqueName } from './support.ts';

const POSITION = { x: 1, y: 2, z: 3 };
const TURNED = eulerToQuaternion({ x: 0.5, y: 1, z: 0.25 }, 'YXZ');

/** An object of a scene, rotated about its axes in the order YXZ. */
function makeMesh(): Object3D {
  const mesh = new Object3D();
  Object.assign(mesh.position, POSITION);
  mesh.quaternion.setFromEuler(new Euler(0.5, 1, 0.25, 'YXZ'));
  return mesh;
}

describe("three.js's values in a Node server", () => {
  const tenantId = uniqueName('t');
  const persistence = new PersistenceLayer({ databaseUrl: stack().databaseUrl, tenantId });
  const { hostname: host, port, password } = new URL(stack().redisUrl);
  const cache = new CacheManager({ host, port, password: decodeURIComponent(password), tenantId });
  let batches: BatchProcessor | undefined;
  beforeAll(() => persistence.connect());
  afterAll(async () => {
    await batches?.shutdown();
    await Promise.all([cache.disconnect(), persistence.disconnect()]);
  });

  it('[B2] are saved and updated without a conversion by the caller', async () => {
    const { position, quaternion, scale } = makeMesh();
    const { object } = await persistence.saveObject({ id: 'mesh', position, rotation: quaternion, scale });
    expect(object).toMatchObject({ position: POSITION, rotation: TURNED, scale: { x: 1, y: 1, z: 1 } });
    const moved = await persistence.updateObject('mesh', {
      position: new Vector3(4, 5, 6),
      rotation: new Euler(0.5, 1, 0.25, 'ZYX'),
    });
    expect(moved.position).toEqual({ x: 4, y: 5, z: 6 });
    expect(moved.rotation).toEqual(eulerToQuaternion({ x: 0.5, y: 1, z: 0.25 }, 'ZYX'));
  });

  it('are accepted for another tenant, and in a whole world', async () => {
    const { position, quaternion } = makeMesh();
    const other = persistence.forTenant(tenantId, 'ann');
    await other.saveWorldState({
      objects: { door: { position: [7, 8, 9] }, mesh: { position, rotation: quaternion } },
    });
    const { objects } = await other.loadWorldState();
    expect(objects).toMatchObject([
      { id: 'door', position: { x: 7, y: 8, z: 9 } },
      { id: 'mesh', position: POSITION, rotation: TURNED, updatedBy: 'ann' },
    ]);
  });

  it('[B2] are accepted by a BatchProcessor, for objects and for avatars', async () => {
    batches = new BatchProcessor(persistence, cache);
    await persistence.upsertUser({ id: 'ann', displayName: 'Ann' });
    const { position, quaternion: rotation } = makeMesh();
    const added = [
      batches.add('objectSaves', { objectId: 'mesh', position, rotation }),
      batches.add('userUpdates', { userId: 'ann', position, rotation: new Euler(0.5, 1, 0.25, 'YXZ') }),
      batches.add('operations', { op: 'put', id: 'lamp', position }),
    ];
    const refused = batches.add('objectUpdates', {
      objectId: 'mesh',
      rotation: { x: 0, y: 0, z: 0, order: 'abc' },
    });
    await expect(refused).rejects.toMatchObject({ errors: [{ path: '/rotation/order' }] });
    Object.assign(position, { x: 100 });
    await Promise.all([batches.flushAll(), ...added]);
    const { objects, users } = await persistence.loadWorldState();
    const pose = { position: POSITION, rotation: TURNED };
    expect(objects.find(({ id }) => id === 'mesh')).toMatchObject(pose);
    expect(objects.find(({ id }) => id === 'lamp')).toMatchObject({ position: POSITION });
    expect(users).toMatchObject([{ id: 'ann', ...pose }]);
  });
});

it('[B2] are refused by a layer that serves HTTP', async () => {
  const postgres = openTestPg();
  const { layer } = await makeWorld(postgres);
  for (const position of [new Vector3(1, 2, 3), [1, 2, 3], { isVector3: true, ...POSITION }])
    await expect(layer.saveObject({ id: 'a', position })).rejects.toMatchObject({
      code: 'validation_failed',
    });
  const ops = [{ op: 'put', id: 'a', rotation: new Euler() }];
  await expect(layer.appendOperations({ ops })).rejects.toMatchObject({ code: 'validation_failed' });
  await postgres.close();
});
