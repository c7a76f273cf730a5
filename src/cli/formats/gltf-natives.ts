import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, JsonValue } from '../../world/types.ts';
import { lightOf, listLights } from './gltf-check.ts';
import { isMembers, type Members } from './json-text.ts';

export const LIGHTS = 'KHR_lights_punctual';
/** Its attributes are accessors, whose buffers are not stored. */
export const INSTANCING = 'EXT_mesh_gpu_instancing';

/** The parts of an object's properties that a glTF node has a place for. An absent part is undefined. */
export interface Natives {
  camera: JsonObject | undefined;
  light: JsonObject | undefined;
  /** By name, without lights. */
  extensions: JsonObject;
  extras: JsonObject | undefined;
}

/** The members that the writer gives the node of an object. The reader compares with them to find edits. */
export function nativesOf(properties: JsonObject): Natives {
  const gltf: JsonObject = isMembers(properties.gltf) ? (properties.gltf as JsonObject) : {};
  const { extras } = properties;
  return {
    camera: readDefinition(gltf.camera, isCamera),
    light: readDefinition(gltf.light, isLight),
    extensions: selectPortable(gltf.extensions, [LIGHTS]),
    // A list or text has no room for the object's own identity, and an empty object says nothing.
    extras:
      isMembers(extras) && !('worldkeep' in extras) && !isEmpty(extras) ? (extras as JsonObject) : undefined,
  };
}

/** The same parts as they are in a file. */
export function readNatives(json: Members, node: Members): Natives & { extras: JsonValue | undefined } {
  const { [LIGHTS]: _, ...extensions } = isMembers(node.extensions) ? (node.extensions as JsonObject) : {};
  return {
    camera: itemAt(json.cameras, node.camera),
    light: itemAt(listLights(json), lightOf(node)),
    extensions,
    extras: withoutWorldkeep(node.extras),
  } as Natives;
}

/**
 * @returns the properties with the changes that another program made to the node's own camera, light, extensions and
 * extras. Properties of a node that nobody edited come back as they are.
 */
export function applyEdits(properties: JsonObject, json: Members, node: Members): JsonObject {
  const [written, found] = [nativesOf(properties), readNatives(json, node)];
  const result = { ...properties };
  const gltf: JsonObject = isMembers(properties.gltf) ? { ...(properties.gltf as JsonObject) } : {};
  const extensions = applyMemberEdits(gltf.extensions, written.extensions, found.extensions);
  if (!isDeepStrictEqual(written.camera, found.camera))
    setOrDelete(gltf, 'camera', found.camera && { index: node.camera as number, ...found.camera });
  if (!isDeepStrictEqual(written.light, found.light)) {
    const index = lightOf(node) as number;
    setOrDelete(gltf, 'light', found.light && { index, ...found.light });
    setOrDelete(extensions, LIGHTS, found.light && { light: index });
  }
  if (!isDeepStrictEqual(extensions, isMembers(gltf.extensions) ? gltf.extensions : {}))
    setOrDelete(gltf, 'extensions', isEmpty(extensions) ? undefined : extensions);
  if (isMembers(properties.gltf) || !isEmpty(gltf)) result.gltf = gltf;
  if (!isDeepStrictEqual(written.extras, found.extras)) setOrDelete(result, 'extras', found.extras);
  return result;
}

/** @returns the kept members, with every difference between the written and the found ones. */
export function applyMemberEdits(kept: unknown, written: unknown, found: unknown): JsonObject {
  const [before, after] = [written, found].map((value) => (isMembers(value) ? value : {})) as [
    JsonObject,
    JsonObject,
  ];
  const result: JsonObject = isMembers(kept) ? { ...(kept as JsonObject) } : {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)]))
    if (!isDeepStrictEqual(before[name], after[name])) setOrDelete(result, name, after[name]);
  return result;
}

/** Extensions that mean the same in another file: none that points at a part of its own file by index. */
export function selectPortable(extensions: unknown, without: readonly string[] = []): JsonObject {
  if (!isMembers(extensions)) return {};
  const portable = Object.entries(extensions).filter(
    ([name, value]) => !without.includes(name) && isMembers(value) && !pointsIntoFile(value),
  );
  return Object.fromEntries(portable) as JsonObject;
}

/** Members whose numbers are indices into the lists of a glTF file. */
const INDEX_MEMBERS =
  /^(?:nodes?|mesh(?:es)?|primitives?|accessors?|attributes|bufferView|buffer|textures?|index|images?|source|sampler|materials?|skins?|joints?|cameras?|animations?|scenes?|ids)$/i;

/** @param known parts that point into the written file already */
export function pointsIntoFile(value: unknown, known?: WeakSet<object>): boolean {
  if (Array.isArray(value)) return value.some((item) => pointsIntoFile(item, known));
  if (!isMembers(value) || known?.has(value)) return false;
  return Object.entries(value).some(
    ([name, item]) => (INDEX_MEMBERS.test(name) && holdsIndex(item, known)) || pointsIntoFile(item, known),
  );
}

function holdsIndex(value: unknown, known?: WeakSet<object>): boolean {
  if (Number.isInteger(value)) return true;
  if (typeof value !== 'object' || value === null || known?.has(value)) return false;
  return Object.values(value).some((item) => holdsIndex(item, known));
}

export function withoutWorldkeep(extras: unknown): JsonValue | undefined {
  if (!isMembers(extras) || !('worldkeep' in extras)) return extras as JsonValue | undefined;
  const { worldkeep: _, ...others } = extras as JsonObject;
  return isEmpty(others) ? undefined : others;
}

export function isEmpty(members: object): boolean {
  return Object.keys(members).length === 0;
}

export function setOrDelete(members: JsonObject, name: string, value: JsonValue | undefined): void {
  if (value === undefined) delete members[name];
  else members[name] = value;
}

function itemAt(list: unknown, index: unknown): JsonObject | undefined {
  const item: unknown = Array.isArray(list) ? list[index as number] : undefined;
  return isMembers(item) ? (item as JsonObject) : undefined;
}

/** @returns a camera or light as properties keep it, without its index in the file that it came from. */
function readDefinition(kept: unknown, isWhole: (item: Members) => boolean): JsonObject | undefined {
  if (!isMembers(kept)) return undefined;
  const { index: _, ...definition } = kept as JsonObject;
  return isWhole(definition) ? definition : undefined;
}

/** Whether glTF takes it as a camera. */
function isCamera({ type, perspective, orthographic }: Members): boolean {
  const has = (value: unknown, names: readonly string[]) =>
    isMembers(value) && names.every((name) => typeof value[name] === 'number');
  if (type === 'perspective') return has(perspective, ['yfov', 'znear']) && orthographic === undefined;
  if (type !== 'orthographic') return false;
  return has(orthographic, ['xmag', 'ymag', 'znear', 'zfar']) && perspective === undefined;
}

/** Whether KHR_lights_punctual takes it as a light. */
function isLight({ type, spot }: Members): boolean {
  return type === 'directional' || type === 'point' || (type === 'spot' && isMembers(spot));
}
