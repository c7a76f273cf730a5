import type { CheckedGltf } from './gltf-check.ts';
import { INSTANCING, isEmpty } from './gltf-natives.ts';
import { isMembers, type Members } from './json-text.ts';

/** Instances of one file that become objects. A file with more keeps them as the extension says them. */
const INSTANCES_MAX = 100_000;

/** A node for one instance of another node's mesh. */
export interface Instance {
  /** The index of the node in the file. */
  node: number;
  /** From 0. */
  instance: number;
}

export interface ExpandedGltf extends CheckedGltf {
  /** By the index of the node that was added. */
  instances: ReadonlyMap<number, Instance>;
}

/** @returns the bytes of a buffer of the file, or null where they are not at hand. */
export type LoadBuffer = (buffer: Members, index: number) => Promise<Uint8Array | null>;

/**
 * Makes a node of each instance (EXT_mesh_gpu_instancing) whose numbers are at hand: a child of its node, with the node's
 * mesh. Other nodes keep the extension.
 */
export async function expandInstances(gltf: CheckedGltf, load: LoadBuffer): Promise<ExpandedGltf> {
  const [nodes, parents, labels] = [[...gltf.nodes], [...gltf.parents], [...gltf.labels]];
  const instances = new Map<number, Instance>();
  for (const [index, node] of gltf.nodes.entries()) {
    const attributes = readAttributes(node);
    if (attributes === null) continue;
    const columns = await readColumns(gltf.json, attributes, load);
    const count = columns === null ? 0 : Math.min(...columns.map(({ items }) => items.length));
    if (columns === null || count === 0 || instances.size + count > INSTANCES_MAX) continue;
    const { mesh, extensions, ...rest } = node;
    const { [INSTANCING]: _, ...others } = extensions as Members;
    nodes[index] = { ...rest, ...(!isEmpty(others) && { extensions: others }) };
    for (let instance = 0; instance < count; instance++) {
      instances.set(nodes.length, { node: index, instance });
      const placed = columns.map(({ member, items }) => [member, items[instance]]);
      nodes.push({ ...Object.fromEntries(placed), ...(mesh !== undefined && { mesh }) });
      parents.push(index);
      labels.push(`${labels[index]}, instance ${instance}`);
    }
  }
  return { json: gltf.json, nodes, parents, labels, instances };
}

/** The attribute of the extension, the member of a node, and how many numbers it has. */
const COLUMNS = [
  ['TRANSLATION', 'translation', 'VEC3', 3],
  ['ROTATION', 'rotation', 'VEC4', 4],
  ['SCALE', 'scale', 'VEC3', 3],
] as const;

/** @returns null where the node has no instances, or says more of them than where they are. */
function readAttributes({ extensions }: Members): Members | null {
  const instancing = isMembers(extensions) ? extensions[INSTANCING] : undefined;
  if (!isMembers(instancing) || !isMembers(instancing.attributes) || isEmpty(instancing.attributes))
    return null;
  const known = Object.keys(instancing.attributes).every((name) =>
    COLUMNS.some(([column]) => column === name),
  );
  return known && Object.keys(instancing).length === 1 ? instancing.attributes : null;
}

interface Column {
  member: string;
  items: number[][];
}

async function readColumns(json: Members, attributes: Members, load: LoadBuffer): Promise<Column[] | null> {
  const columns: Column[] = [];
  for (const [attribute, member, type, length] of COLUMNS) {
    if (attributes[attribute] === undefined) continue;
    const items = await readAccessor(json, attributes[attribute], { type, length }, load);
    if (items === null) return null;
    columns.push({ member, items });
  }
  return columns;
}

/** Component types of glTF: bytes, the reader, and the integer that means 1. */
const COMPONENTS: Record<number, [bytes: number, read: (view: DataView, at: number) => number, one: number]> =
  {
    5120: [1, (view, at) => view.getInt8(at), 127],
    5121: [1, (view, at) => view.getUint8(at), 255],
    5122: [2, (view, at) => view.getInt16(at, true), 32_767],
    5123: [2, (view, at) => view.getUint16(at, true), 65_535],
    5126: [4, (view, at) => view.getFloat32(at, true), 1],
  };

/** @returns the items of an accessor, or null where they are missing, compressed, sparse or of another type. */
async function readAccessor(
  json: Members,
  at: unknown,
  expected: { type: string; length: number },
  load: LoadBuffer,
): Promise<number[][] | null> {
  const accessor = itemAt(json.accessors, at);
  const view = itemAt(json.bufferViews, accessor?.bufferView);
  const buffer = itemAt(json.buffers, view?.buffer);
  const component = COMPONENTS[accessor?.componentType as number];
  if (accessor === null || view === null || buffer === null || component === undefined) return null;
  if (accessor.type !== expected.type || accessor.sparse !== undefined || isMembers(view.extensions))
    return null;
  const [bytes, read, one] = component;
  const size = bytes * expected.length;
  const [offset, viewOffset, stride, count] = [
    accessor.byteOffset ?? 0,
    view.byteOffset ?? 0,
    view.byteStride ?? size,
    accessor.count,
  ].map((value) => (Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : Number.NaN)) as [
    number,
    number,
    number,
    number,
  ];
  const start = offset + viewOffset;
  const loaded = await load(buffer, view.buffer as number);
  if (loaded === null || count > INSTANCES_MAX || !(start + stride * (count - 1) + size <= loaded.length))
    return null;
  const data = new DataView(loaded.buffer, loaded.byteOffset, loaded.byteLength);
  const scale = (value: number) => (accessor.normalized === true ? Math.max(value / one, -1) : value);
  const items = Array.from({ length: count }, (_, item) =>
    Array.from({ length: expected.length }, (_, i) => scale(read(data, start + item * stride + i * bytes))),
  );
  return items.every(
    (item) => item.every(Number.isFinite) && item.some((part) => part !== 0 || expected.length === 3),
  )
    ? items
    : null;
}

function itemAt(list: unknown, index: unknown): Members | null {
  const item: unknown = Array.isArray(list) ? list[index as number] : undefined;
  return isMembers(item) ? item : null;
}
