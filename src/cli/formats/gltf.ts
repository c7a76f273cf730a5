import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, JsonValue, ObjectInput } from '../../world/types.ts';
import { sliceGlbBinary, sliceGlbJson } from './glb.ts';
import { createBufferLoader } from './gltf-buffers.ts';
import { type CheckedGltf, checkGltf, lightOf, listLights } from './gltf-check.ts';
import { applyDocumentEdits, putDocument, readDocument } from './gltf-document.ts';
import { expandInstances } from './gltf-instances.ts';
import { findLosses } from './gltf-losses.ts';
import { findUse, withoutModelNodes } from './gltf-models.ts';
import { applyEdits, withoutWorldkeep } from './gltf-natives.ts';
import { countOutside, type Memberships, readMemberships, scenesOf } from './gltf-scenes.ts';
import { isMembers, type Members, parseJsonBytes } from './json-text.ts';
import { readKept, readKeptAssets, readKeptSpace, readShapeOf } from './kept.ts';
import { decomposeMatrix, type Transform } from './math.ts';
import { assignIds, stampOf, toIdPrefix } from './object-id.ts';
import { packGlb } from './pack-glb.ts';
import {
  locateInObjects,
  type Note,
  type ParsedScene,
  SceneError,
  type SceneSource,
  toWorld,
} from './scene.ts';
import { readSpace } from './state.ts';

/** Reads a binary glTF. @throws SceneError */
export function readGlb(bytes: Uint8Array, source: SceneSource): Promise<ParsedScene> {
  const json = parseJsonBytes(sliceGlbJson(bytes, source.file), source.file);
  return readGltf(json, source, { format: 'glb', binary: sliceGlbBinary(bytes), bytes });
}

/**
 * Every node becomes an object, in whatever scene or none. A node that was exported from here is that object again, with
 * what another program changed; any other is a new object: id `<file's name>:<node's index>`. `properties.gltf` says what
 * the node shows: camera and light whole, mesh and skin by index and name. `properties.extras` are its extras. Facts about the whole file
 * go to the settings of the space. Geometry, images and animations are not read, so they may be missing, unless they are
 * asked for (`withModels`).
 * @param bytes of the file
 */
export async function readGltf(
  json: unknown,
  source: SceneSource,
  { format, binary, bytes }: { format: 'glb' | 'gltf'; binary: Uint8Array | null; bytes: Uint8Array },
): Promise<ParsedScene> {
  const { file, stem, idStamp, withModels = false } = source;
  const checked = checkGltf(json, file);
  const gltf = await expandInstances(
    withModels ? checked : withoutModelNodes(checked),
    createBufferLoader(binary, source.readNear),
  );
  const use = withModels ? findUse(gltf) : null;
  const kept = readKept(gltf.nodes);
  const keptSpace = readKeptSpace(gltf.json);
  const isExport = keptSpace !== null || kept.some((own) => own !== null);
  // In an export, an index may be the id of an object that another program removed.
  const stamp = idStamp ?? (isExport ? stampOf(JSON.stringify(json)) : null);
  const keptIds = kept.map((own) => own?.id ?? null);
  const ids = assignIds(keptIds, toIdPrefix(stem), stamp);
  const memberships = readMemberships(gltf);
  const objects = gltf.nodes.map((node, index): ObjectInput => {
    const { matrix, ...transform } = readTransform(node, gltf.labels[index] ?? null, file);
    const parent = gltf.parents[index] ?? null;
    const own = kept[index];
    const parts = describeNode(gltf.json, node, matrix);
    const place = use?.named.has(index) ? index : null;
    return {
      id: ids[index] ?? '',
      name: typeof node.name === 'string' ? node.name : null,
      modelId: use?.replaced.has(index) ? null : (own?.modelId ?? null),
      parentId: parent === null ? (own?.parentId ?? null) : (ids[parent] ?? null),
      ...transform,
      properties: keepScenes(
        own
          ? keepProperties(own.properties, parts, gltf.json, node, use === null ? undefined : place)
          : {
              gltf: { ...(gltf.instances.get(index) ?? { node: index }), ...parts },
              ...extrasOf(node),
            },
        index,
        memberships,
      ),
    };
  });
  // The name of the scene inside says little: exporters call nearly every one `Scene`.
  const space =
    keptSpace === null ? { name: stem, settings: {} } : { settings: {}, ...readSpace(keptSpace, stem) };
  const document =
    keptSpace === null ? readDocument(gltf.json) : applyDocumentEdits(space.settings, space.name, gltf.json);
  const { settings, losses } = putDocument(space.settings, document);
  return {
    format,
    world: { ...toWorld(objects), ...readKeptAssets(gltf.json) },
    objects: objects.length,
    notPreserved: [...findLosses(gltf.json, gltf.nodes, withModels), ...losses],
    notes: findNotes(gltf, {
      memberships,
      copies: kept.filter((own) => own?.id === null).length,
      lacksMeshes: use?.shown.size === 0,
    }),
    ...(use !== null &&
      use.shown.size > 0 && {
        shapes: {
          bytes: await packGlb(bytes, gltf.json, { binary, source }),
          shown: [...use.shown],
          named: [...use.named],
        },
      }),
    document: isMembers(settings.gltf) ? (settings.gltf as JsonObject) : {},
    space: { ...space, settings },
    locate: locateInObjects(gltf.labels),
  };
}

function extrasOf(node: Members): { extras?: JsonValue } {
  const extras = readShapeOf(node) === null ? node.extras : withoutWorldkeep(node.extras);
  return extras === undefined ? {} : { extras: extras as JsonValue };
}

function findNotes(
  gltf: CheckedGltf,
  { memberships, copies, lacksMeshes }: { memberships: Memberships; copies: number; lacksMeshes: boolean },
): Note[] {
  const outside = countOutside(gltf, memberships);
  const notes: Note[] = [
    { code: 'no_nodes', count: gltf.nodes.length === 0 ? 1 : 0, message: 'the file has no nodes' },
    { code: 'no_meshes', count: lacksMeshes ? 1 : 0, message: 'no meshes: no model stored' },
    {
      code: 'copied_nodes',
      count: copies,
      message: `nodes with the id of an earlier node are new objects (${copies})`,
    },
    {
      code: 'outside_default_scene',
      count: outside,
      message: `nodes outside the default scene are objects too (${outside}); properties.gltf.scenes of their roots says where they are`,
    },
  ];
  return notes.filter(({ count }) => count > 0);
}

/** @returns the transform, and the matrix where no transform is exactly that. */
function readTransform(
  node: Members,
  label: string | null,
  file: string,
): Transform & { matrix: number[] | undefined } {
  const matrix = node.matrix as number[] | undefined;
  if (matrix !== undefined) {
    const taken = decomposeMatrix(matrix);
    if (taken === null) throw new SceneError(file, label, 'matrix has numbers too great to use');
    const { exact, ...transform } = taken;
    return { ...transform, matrix: exact ? undefined : matrix };
  }
  const [x = 0, y = 0, z = 0] = (node.translation ?? []) as number[];
  const [rx = 0, ry = 0, rz = 0, rw = 1] = (node.rotation ?? []) as number[];
  const [sx = 1, sy = 1, sz = 1] = (node.scale ?? []) as number[];
  return {
    position: { x, y, z },
    rotation: { x: rx, y: ry, z: rz, w: rw },
    scale: { x: sx, y: sy, z: sz },
    matrix: undefined,
  };
}

function describeNode(json: Members, node: Members, matrix: number[] | undefined): JsonObject {
  const itemOf = (list: unknown, at: unknown): Members => {
    const item: unknown = Array.isArray(list) ? list[at as number] : undefined;
    return isMembers(item) ? item : {};
  };
  const refer = (list: unknown, at: unknown): JsonObject => {
    const { name } = itemOf(list, at);
    return { index: at as number, ...(typeof name === 'string' && { name }) };
  };
  const copy = (list: unknown, at: unknown): JsonObject => ({
    index: at as number,
    ...(itemOf(list, at) as JsonObject),
  });
  const light = lightOf(node);
  return {
    ...(node.mesh !== undefined && { mesh: refer(json.meshes, node.mesh) }),
    ...(node.camera !== undefined && { camera: copy(json.cameras, node.camera) }),
    ...(node.skin !== undefined && { skin: refer(json.skins, node.skin) }),
    ...(light !== undefined && { light: copy(listLights(json), light) }),
    ...(node.weights !== undefined && { weights: node.weights as JsonValue }),
    ...(node.extensions !== undefined && { extensions: node.extensions as JsonValue }),
    ...(matrix !== undefined && { matrix }),
  };
}

/**
 * The properties that a node kept, with what another program changed. The parts that an export has no room for (mesh, skin,
 * weights) stay as they were, unless the node has new ones. An object with a model keeps its own too.
 * @param place the node's index if the file is its new model; null if it has no place there; undefined if its model stays
 */
function keepProperties(
  properties: JsonObject,
  { mesh, skin, weights, matrix }: JsonObject,
  json: Members,
  node: Members,
  place: number | null | undefined,
): JsonObject {
  const edited = applyEdits(properties, json, node);
  const gltf: JsonObject = isMembers(edited.gltf) ? { ...(edited.gltf as JsonObject) } : {};
  const before = Object.keys(gltf).length;
  const keepsModel = place === undefined && gltf.model !== undefined;
  if (place !== undefined && gltf.model !== undefined)
    for (const name of ['model', 'mesh', 'skin', 'weights', 'node', 'instance']) delete gltf[name];
  if (typeof place === 'number') gltf.node = place;
  for (const [name, value] of Object.entries(keepsModel ? { matrix } : { mesh, skin, weights, matrix }))
    if (value !== undefined) gltf[name] = value;
  if (node.matrix !== undefined && matrix === undefined) delete gltf.matrix;
  return Object.keys(gltf).length === 0 && before === 0 ? edited : { ...edited, gltf };
}

/** `gltf.scenes` says where a root is, unless it is where it would be written anyway. */
function keepScenes(properties: JsonObject, index: number, memberships: Memberships): JsonObject {
  const found = memberships.of.get(index);
  const gltf: JsonObject = isMembers(properties.gltf) ? (properties.gltf as JsonObject) : {};
  if (found === undefined || isDeepStrictEqual(scenesOf(gltf.scenes, memberships), found)) return properties;
  const { scenes: _, ...others } = gltf;
  const isShownAlone = found.length === 1 && found[0] === memberships.shown;
  return { ...properties, gltf: isShownAlone ? others : { ...others, scenes: [...found] } };
}
