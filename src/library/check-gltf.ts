import { countOf } from '../helpers/counts.ts';
import { LIMITS } from '../world/limits.ts';
import { invalidFile } from './file-inspector.ts';

/** A part of a glTF document that was checked: an object with any members. */
export type Part = Readonly<Record<string, unknown>>;

/** A document whose indexes, ranges and hierarchy are good. Missing lists are empty. */
export interface CheckedGltf {
  json: Part;
  asset: Part;
  scenes: readonly Part[];
  nodes: readonly Part[];
  meshes: readonly Part[];
  materials: readonly Part[];
  textures: readonly Part[];
  animations: readonly Part[];
  skins: readonly Part[];
  accessors: readonly Part[];
  extensionsUsed: readonly string[];
}

/** Extensions that viewers such as three.js and Babylon.js read. A file may use others, but may not require them. */
const EXTENSIONS = [
  ...['KHR_draco_mesh_compression', 'KHR_mesh_quantization', 'KHR_lights_punctual', 'KHR_animation_pointer'],
  ...['KHR_materials_anisotropy', 'KHR_materials_clearcoat', 'KHR_materials_dispersion'],
  ...['KHR_materials_emissive_strength', 'KHR_materials_ior', 'KHR_materials_iridescence'],
  ...['KHR_materials_pbrSpecularGlossiness', 'KHR_materials_sheen', 'KHR_materials_specular'],
  ...['KHR_materials_transmission', 'KHR_materials_unlit', 'KHR_materials_variants', 'KHR_materials_volume'],
  ...['KHR_texture_basisu', 'KHR_texture_transform', 'KHR_xmp_json_ld', 'KHR_meshopt_compression'],
  ...['EXT_mesh_gpu_instancing', 'EXT_meshopt_compression', 'EXT_texture_avif', 'EXT_texture_webp'],
];

const COMPONENT_BYTES: Readonly<Record<number, number>> = {
  5120: 1,
  5121: 1,
  5122: 2,
  5123: 2,
  5125: 4,
  5126: 4,
};
const COMPONENTS: Readonly<Record<string, number>> = {
  SCALAR: 1,
  VEC2: 2,
  VEC3: 3,
  VEC4: 4,
  MAT2: 4,
  MAT3: 9,
  MAT4: 16,
};

/**
 * @param binBytes of the binary chunk; null: the file has none
 * @throws invalid_file with the path of the wrong value
 */
export function checkGltf(value: unknown, binBytes: number | null): CheckedGltf {
  return new GltfCheck(readPart(value, ''), binBytes).run();
}

class GltfCheck {
  readonly #json: Part;
  readonly #binBytes: number | null;
  readonly #lists = new Map<string, readonly Part[]>();

  constructor(json: Part, binBytes: number | null) {
    this.#json = json;
    this.#binBytes = binBytes;
  }

  run(): CheckedGltf {
    const asset = this.#checkAsset();
    const extensionsUsed = this.#checkExtensions();
    for (const [i, buffer] of this.#list('buffers').entries()) this.#checkBuffer(buffer, i);
    this.#checkEach('bufferViews', (view, path) => this.#checkBufferView(view, path));
    this.#checkEach('accessors', (accessor, path) => this.#checkAccessor(accessor, path));
    this.#checkEach('images', (image, path) => this.#checkImage(image, path));
    this.#checkEach('textures', (texture, path) => this.#checkTexture(texture, path));
    this.#checkEach('materials', (material, path) => this.#checkMaterial(material, path));
    this.#checkEach('meshes', (mesh, path) => this.#checkMesh(mesh, path));
    this.#checkEach('nodes', (node, path) => this.#checkNode(node, path));
    this.#checkEach('skins', (skin, path) => this.#checkSkin(skin, path));
    this.#checkEach('scenes', (scene, path) => this.#indexes('nodes', scene.nodes, `${path}/nodes`));
    this.#checkEach('animations', (animation, path) => this.#checkAnimation(animation, path));
    this.#index('scenes', this.#json.scene, '/scene');
    this.#checkHierarchy();
    const list = (name: string) => this.#list(name);
    return {
      json: this.#json,
      asset,
      extensionsUsed,
      scenes: list('scenes'),
      nodes: list('nodes'),
      meshes: list('meshes'),
      materials: list('materials'),
      textures: list('textures'),
      animations: list('animations'),
      skins: list('skins'),
      accessors: list('accessors'),
    };
  }

  #checkEach(list: string, check: (item: Part, path: string) => void): void {
    for (const [i, item] of this.#list(list).entries()) check(item, `/${list}/${i}`);
  }

  #checkAsset(): Part {
    const asset = readPart(this.#json.asset ?? {}, '/asset');
    const { version, minVersion } = asset;
    if (typeof version !== 'string' || !/^2\.\d{1,9}$/.test(version))
      fail('/asset/version', `is ${show(version)}, but must be "2.0". Convert the file to glTF 2.0`);
    if (minVersion !== undefined && minVersion !== '2.0')
      fail('/asset/minVersion', `is ${show(minVersion)}, but viewers read glTF 2.0`);
    return asset;
  }

  #checkExtensions(): string[] {
    const used = readExtensions(this.#json.extensionsUsed, '/extensionsUsed');
    const known = new Set(used);
    for (const name of readExtensions(this.#json.extensionsRequired, '/extensionsRequired')) {
      if (!known.has(name)) fail('/extensionsRequired', `names ${name}, but /extensionsUsed does not`);
      if (!EXTENSIONS.includes(name))
        fail('/extensionsRequired', `names ${name}, which viewers do not read. Export the file without it`);
    }
    return used;
  }

  #checkBuffer(buffer: Part, i: number): void {
    const path = `/buffers/${i}`;
    const bytes = readInteger(buffer.byteLength, `${path}/byteLength`, 1);
    if (buffer.uri !== undefined) {
      const length = readDataLength(buffer.uri, `${path}/uri`);
      if (length < bytes) fail(`${path}/byteLength`, `is ${bytes}, but the data has ${length} bytes`);
      return;
    }
    // A viewer that decompresses does not read this buffer.
    if (isFallback(buffer)) return;
    if (i !== 0 || this.#binBytes === null)
      fail(path, 'has no data: only the first buffer of a .glb has none');
    if (bytes > (this.#binBytes ?? 0))
      fail(`${path}/byteLength`, `is ${bytes}, but the binary chunk has ${this.#binBytes} bytes`);
  }

  #checkBufferView(view: Part, path: string): void {
    const buffer = this.#required('buffers', view.buffer, `${path}/buffer`);
    const offset = readInteger(view.byteOffset ?? 0, `${path}/byteOffset`, 0);
    const length = readInteger(view.byteLength, `${path}/byteLength`, 1);
    if (view.byteStride !== undefined) readInteger(view.byteStride, `${path}/byteStride`, 4, 252);
    if (offset + length > Number(buffer.byteLength))
      fail(path, `ends at byte ${offset + length}, but its buffer has ${Number(buffer.byteLength)} bytes`);
  }

  #checkAccessor(accessor: Part, path: string): void {
    const size = COMPONENT_BYTES[Number(accessor.componentType)];
    if (size === undefined) fail(`${path}/componentType`, 'is not a component type of glTF');
    const type = String(accessor.type);
    const components = Object.hasOwn(COMPONENTS, type) ? COMPONENTS[type] : undefined;
    if (components === undefined) fail(`${path}/type`, 'is not a type of glTF');
    const count = readInteger(accessor.count, `${path}/count`, 1);
    for (const name of ['min', 'max'] as const)
      if (accessor[name] !== undefined) readNumbers(accessor[name], `${path}/${name}`, components as number);
    const elementBytes = (size as number) * (components as number);
    this.#checkRange(accessor, path, { count, elementBytes });
    if (accessor.sparse === undefined) return;
    const sparse = readPart(accessor.sparse, `${path}/sparse`);
    const sparseCount = readInteger(sparse.count, `${path}/sparse/count`, 1, count);
    const indices = readPart(sparse.indices, `${path}/sparse/indices`);
    const indexBytes = COMPONENT_BYTES[Number(indices.componentType)] ?? 4;
    this.#checkRange(indices, `${path}/sparse/indices`, { count: sparseCount, elementBytes: indexBytes });
    const values = readPart(sparse.values, `${path}/sparse/values`);
    this.#checkRange(values, `${path}/sparse/values`, { count: sparseCount, elementBytes });
  }

  #checkRange(
    accessor: Part,
    path: string,
    { count, elementBytes }: { count: number; elementBytes: number },
  ): void {
    const offset = readInteger(accessor.byteOffset ?? 0, `${path}/byteOffset`, 0);
    const view = this.#index('bufferViews', accessor.bufferView, `${path}/bufferView`);
    if (view === null) {
      // Zeros that are nowhere in the file: a few bytes must not ask for much memory.
      if (count > LIMITS.gltfEmptyElementsMax)
        fail(path, `has ${count} elements without data, at most ${LIMITS.gltfEmptyElementsMax}`);
      return;
    }
    const stride = Number(view.byteStride ?? elementBytes);
    const end = offset + stride * (count - 1) + elementBytes;
    if (end > Number(view.byteLength))
      fail(path, `ends at byte ${end} of its buffer view, which has ${Number(view.byteLength)} bytes`);
  }

  #checkImage(image: Part, path: string): void {
    if (image.uri !== undefined) readDataLength(image.uri, `${path}/uri`);
    else this.#required('bufferViews', image.bufferView, `${path}/bufferView`);
  }

  #checkTexture(texture: Part, path: string): void {
    this.#index('samplers', texture.sampler, `${path}/sampler`);
    this.#index('images', texture.source, `${path}/source`);
    for (const name of ['KHR_texture_basisu', 'EXT_texture_webp', 'EXT_texture_avif'])
      this.#index('images', readExtension(texture, name)?.source, `${path}/extensions/${name}/source`);
  }

  #checkMaterial(material: Part, path: string): void {
    const pbr = readPart(material.pbrMetallicRoughness ?? {}, `${path}/pbrMetallicRoughness`);
    for (const [name, info] of [
      ['pbrMetallicRoughness/baseColorTexture', pbr.baseColorTexture],
      ['pbrMetallicRoughness/metallicRoughnessTexture', pbr.metallicRoughnessTexture],
      ...['normalTexture', 'occlusionTexture', 'emissiveTexture'].map((key) => [key, material[key]] as const),
    ] as const) {
      if (info === undefined) continue;
      this.#required('textures', readPart(info, `${path}/${name}`).index, `${path}/${name}/index`);
    }
  }

  #checkMesh(mesh: Part, path: string): void {
    const primitives = readParts(mesh.primitives, `${path}/primitives`);
    if (primitives.length === 0) fail(`${path}/primitives`, 'must not be empty');
    for (const [i, primitive] of primitives.entries()) {
      const at = `${path}/primitives/${i}`;
      const attributes = readPart(primitive.attributes, `${at}/attributes`);
      const targets = readParts(primitive.targets, `${at}/targets`);
      for (const [where, set] of [
        ['attributes', attributes] as const,
        ...targets.map((target, t) => [`targets/${t}`, target] as const),
      ])
        for (const [name, index] of Object.entries(set))
          this.#required('accessors', index, `${at}/${where}/${name}`);
      this.#index('accessors', primitive.indices, `${at}/indices`);
      this.#index('materials', primitive.material, `${at}/material`);
      if (primitive.mode !== undefined) readInteger(primitive.mode, `${at}/mode`, 0, 6);
    }
  }

  #checkNode(node: Part, path: string): void {
    this.#indexes('nodes', node.children, `${path}/children`);
    for (const [name, list] of [
      ['mesh', 'meshes'],
      ['skin', 'skins'],
      ['camera', 'cameras'],
    ] as const)
      this.#index(list, node[name], `${path}/${name}`);
    for (const [name, count] of [
      ['matrix', 16],
      ['translation', 3],
      ['rotation', 4],
      ['scale', 3],
    ] as const)
      if (node[name] !== undefined) readNumbers(node[name], `${path}/${name}`, count);
  }

  #checkSkin(skin: Part, path: string): void {
    if (this.#indexes('nodes', skin.joints, `${path}/joints`).length === 0)
      fail(`${path}/joints`, 'must not be empty');
    this.#index('nodes', skin.skeleton, `${path}/skeleton`);
    this.#index('accessors', skin.inverseBindMatrices, `${path}/inverseBindMatrices`);
  }

  #checkAnimation(animation: Part, path: string): void {
    const samplers = readParts(animation.samplers, `${path}/samplers`);
    for (const [i, { input, output }] of samplers.entries()) {
      this.#required('accessors', input, `${path}/samplers/${i}/input`);
      this.#required('accessors', output, `${path}/samplers/${i}/output`);
    }
    for (const [i, channel] of readParts(animation.channels, `${path}/channels`).entries()) {
      const at = `${path}/channels/${i}`;
      readIndex(samplers.length, channel.sampler, `${at}/sampler`, 'samplers');
      this.#index('nodes', readPart(channel.target, `${at}/target`).node, `${at}/target/node`);
    }
  }

  /** Each node has one parent at most, and none is inside itself. */
  #checkHierarchy(): void {
    const nodes = this.#list('nodes');
    const parents = new Map<number, number>();
    for (const [i, { children = [] }] of nodes.entries())
      for (const child of children as number[]) {
        if (parents.has(child)) fail(`/nodes/${child}`, `has two parents: ${parents.get(child)} and ${i}`);
        parents.set(child, i);
      }
    const isGood = new Set<number>();
    for (const start of nodes.keys()) {
      const way = new Set<number>();
      for (
        let node: number | undefined = start;
        node !== undefined && !isGood.has(node);
        node = parents.get(node)
      ) {
        if (way.has(node)) fail(`/nodes/${node}`, 'is inside itself');
        way.add(node);
      }
      for (const node of way) isGood.add(node);
    }
  }

  #list(name: string): readonly Part[] {
    const known = this.#lists.get(name) ?? readParts(this.#json[name], `/${name}`);
    this.#lists.set(name, known);
    return known;
  }

  /** @returns the item; null for an absent index */
  #index(list: string, index: unknown, path: string): Part | null {
    return index === undefined ? null : this.#required(list, index, path);
  }

  #required(list: string, index: unknown, path: string): Part {
    const items = this.#list(list);
    return items[readIndex(items.length, index, path, list)] as Part;
  }

  #indexes(list: string, value: unknown, path: string): number[] {
    if (value === undefined) return [];
    if (!Array.isArray(value)) fail(path, 'must be a list of indexes');
    const indexes = (value as unknown[]).map((index, i) =>
      readIndex(this.#list(list).length, index, `${path}/${i}`, list),
    );
    if (new Set(indexes).size < indexes.length) fail(path, 'names an item twice');
    return indexes;
  }
}

/** Characters of a value that a message repeats. */
const SHOWN_LENGTH_MAX = 80;

function fail(path: string, message: string): never {
  throw invalidFile(`${path} ${message}.`);
}

function readPart(value: unknown, path: string): Part {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail(path === '' ? 'The JSON' : path, 'must be an object');
  return value as Part;
}

function readParts(value: unknown, path: string): Part[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return fail(path, 'must be a list');
  return value.map((item, i) => readPart(item, `${path}/${i}`));
}

function readExtensions(value: unknown, path: string): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return fail(path, 'must be a list of names');
  const { gltfExtensionsMax, gltfExtensionLengthMax } = LIMITS;
  if (value.length > gltfExtensionsMax)
    fail(path, `has ${value.length} names, and at most ${gltfExtensionsMax} are accepted`);
  for (const [i, name] of value.entries())
    if (typeof name !== 'string' || name.length > gltfExtensionLengthMax || !/^\w+$/.test(name))
      fail(`${path}/${i}`, `must be 1 to ${gltfExtensionLengthMax} letters, digits and underscores`);
  return value;
}

/** A value of a file in a message. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}

function readInteger(value: unknown, path: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
    return fail(
      path,
      max === Number.MAX_SAFE_INTEGER ? `must be ${min} or more` : `must be ${min} to ${max}`,
    );
  return value as number;
}

function readNumbers(value: unknown, path: string, count: number): void {
  if (!Array.isArray(value) || value.length !== count || !value.every((number) => Number.isFinite(number)))
    fail(path, `must be a list of ${count} numbers`);
}

function readIndex(length: number, value: unknown, path: string, list: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    return fail(path, `must be an index of /${list}`);
  const item = list.replace(/(?<=mesh)es$|s$/, '');
  if ((value as number) >= length)
    return fail(
      path,
      `names ${value}, but there ${length === 1 ? 'is' : 'are'} only ${countOf(length, item)}`,
    );
  return value as number;
}

const DATA_URI = /^data:[^,]*?(;base64)?,/;

/** @returns the bytes of a data URI. @throws invalid_file for the name of another file */
function readDataLength(uri: unknown, path: string): number {
  const [head, base64] = typeof uri === 'string' ? (DATA_URI.exec(uri) ?? []) : [];
  if (head === undefined || typeof uri !== 'string')
    return fail(path, 'names another file. Pack everything into one .glb file');
  const data = uri.length - head.length;
  if (base64 === undefined) return data;
  return Math.floor((data * 3) / 4) - (/={1,2}$/.exec(uri)?.[0].length ?? 0);
}

function readExtension(part: Part, name: string): Part | null {
  const { extensions } = part;
  const found =
    typeof extensions === 'object' && extensions !== null ? (extensions as Part)[name] : undefined;
  return typeof found === 'object' && found !== null ? (found as Part) : null;
}

function isFallback(buffer: Part): boolean {
  return ['EXT_meshopt_compression', 'KHR_meshopt_compression'].some(
    (name) => readExtension(buffer, name)?.fallback === true,
  );
}
