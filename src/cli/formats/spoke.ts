import { eulerToQuaternion } from '../../world/quaternion.ts';
import { ID_RULE, idSchema } from '../../world/schemas.ts';
import type { JsonObject, JsonValue, ObjectInput, Vector3 } from '../../world/types.ts';
import { findCycle } from './hierarchy.ts';
import { isMembers, type Members, showValue } from './json-text.ts';
import type { Transform } from './math.ts';
import { locateInObjects, type ParsedScene, SceneError, type SceneSource, toWorld } from './scene.ts';

/** The versions of Mozilla Hubs' scene format that are read: they differ in what components hold, which is kept as it is. */
const OLDEST_VERSION = 3;
const NEWEST_VERSION = 9;
const IDENTITY: Transform = {
  position: { x: 0, y: 0, z: 0 },
  rotation: { x: 0, y: 0, z: 0, w: 1 },
  scale: { x: 1, y: 1, z: 1 },
};

/**
 * Every entity becomes an object, also the root (it has fog, background and sound). The id is the entity's own. Euler angles (radians,
 * XYZ) become a quaternion. `properties.spoke` keeps the other members, so that the scene can be written again. These are `index` among the
 * siblings, `euler` as in the file, `components` without the transform, and `other` with unknown members. The root also has `root: true`,
 * `version`, `metadata`, and `file` with unknown members of the file.
 */
export function readSpoke(json: Members, { file, stem }: SceneSource): ParsedScene {
  const { version = 1, root, metadata, entities, ...others } = json;
  if (!isReadVersion(version)) throw new SceneError(file, null, refuseVersion(version));
  if (!isMembers(entities)) throw new SceneError(file, null, 'entities must be an object');
  const ids = Object.keys(entities);
  const labels = ids.map((id) => labelEntity(id, entities[id]));
  const fail = (index: number, what: string) => new SceneError(file, labels[index] ?? null, what);
  if (typeof root !== 'string' || !Object.hasOwn(entities, root))
    throw new SceneError(file, null, `root ${showValue(root)} is no entity of the file`);

  const objects = ids.map((id, index): ObjectInput => {
    const entity = entities[id];
    if (!isMembers(entity)) throw fail(index, `must be an object, not ${showValue(entity)}`);
    const result = readEntity(id, entity, root, entities);
    if (typeof result === 'string') throw fail(index, result);
    if (id === root)
      result.properties.spoke = {
        ...(result.properties.spoke as JsonObject),
        root: true,
        version,
        ...(metadata !== undefined && { metadata: metadata as JsonValue }),
        ...(Object.keys(others).length > 0 && { file: others as JsonObject }),
      };
    return result;
  });
  const cycle = findCycle(new Map(objects.map(({ id, parentId }) => [id, parentId])));
  if (cycle !== null) {
    const names = cycle.map((id) => labels[ids.indexOf(id)]);
    throw fail(
      ids.indexOf(cycle[0] ?? ''),
      `is its own ancestor (child → parent): ${[...names, names[0]].join(' → ')}`,
    );
  }
  const name = isMembers(metadata) ? metadata.name : undefined;
  return {
    format: 'spoke',
    world: toWorld(objects),
    objects: objects.length,
    notPreserved: [],
    notes: [],
    space: { name: typeof name === 'string' && name.trim() !== '' ? name : stem },
    locate: locateInObjects(labels),
  };
}

function isReadVersion(version: unknown): version is number {
  return Number.isInteger(version) && Number(version) >= OLDEST_VERSION && Number(version) <= NEWEST_VERSION;
}

function refuseVersion(version: unknown): string {
  const said = `is a Hubs scene of version ${showValue(version)}; versions ${OLDEST_VERSION} to ${NEWEST_VERSION} can be imported`;
  const isOlder = typeof version === 'number' && version < OLDEST_VERSION;
  return isOlder
    ? `${said}. Open it in Spoke and save it again: Spoke writes version ${NEWEST_VERSION}`
    : said;
}

function labelEntity(id: string, entity: unknown): string {
  const name = isMembers(entity) ? entity.name : undefined;
  return typeof name === 'string' && name !== ''
    ? `entity ${showValue(id)} ${showValue(name)}`
    : `entity ${showValue(id)}`;
}

/** @returns the object, or a sentence about the error of the entity. */
function readEntity(id: string, entity: Members, root: string, entities: Members): ObjectInput | string {
  const { name, parent, index, components = [], ...other } = entity;
  if (!idSchema.safeParse(id).success) return `its id ${ID_RULE}`;
  if (name !== undefined && typeof name !== 'string') return `name must be text, not ${showValue(name)}`;
  if (id === root && parent !== undefined && parent !== null)
    return 'is the root of the scene and yet has a parent';
  if (id !== root && (typeof parent !== 'string' || !Object.hasOwn(entities, parent)))
    return parent === undefined || parent === null
      ? 'has no parent, which only the root of the scene may lack'
      : `its parent ${showValue(parent)} is no entity of the file`;
  if (!Array.isArray(components) || !components.every(isMembers))
    return 'components must be a list of objects';
  const transforms = components.filter((component) => component.name === 'transform');
  if (transforms.length > 1) return 'has two transform components';
  const transform = transforms[0] === undefined ? null : readTransform(transforms[0].props);
  if (typeof transform === 'string') return transform;
  return {
    id,
    name: name ?? null,
    modelId: null,
    parentId: typeof parent === 'string' ? parent : null,
    ...(transform?.placed ?? IDENTITY),
    properties: {
      spoke: {
        ...(index !== undefined && { index: index as JsonValue }),
        ...(transform !== null && { euler: { ...transform.euler } }),
        components: components.filter((component) => component.name !== 'transform') as JsonObject[],
        ...(Object.keys(other).length > 0 && { other: other as JsonObject }),
      },
    },
  };
}

function readTransform(props: unknown): { placed: Transform; euler: Vector3 } | string {
  if (!isMembers(props)) return 'its transform has no props';
  const read: Record<'position' | 'rotation' | 'scale', Vector3> = {
    position: IDENTITY.position,
    rotation: { x: 0, y: 0, z: 0 },
    scale: IDENTITY.scale,
  };
  for (const part of ['position', 'rotation', 'scale'] as const) {
    const given = props[part];
    if (given === undefined) continue;
    if (!isMembers(given)) return `${part} must be an object of x, y, z, not ${showValue(given)}`;
    const { x, y, z } = given;
    for (const [axis, value] of Object.entries({ x, y, z }))
      if (typeof value !== 'number' || !Number.isFinite(value))
        return `${part}.${axis} must be a finite number, not ${showValue(value)}`;
    read[part] = { x, y, z } as Vector3;
  }
  const { position, rotation: euler, scale } = read;
  return { placed: { position, rotation: eulerToQuaternion(euler), scale }, euler };
}
