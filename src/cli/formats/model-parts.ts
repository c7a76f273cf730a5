import type { JsonObject } from '../../world/types.ts';
import { BinaryParts } from './binary-parts.ts';
import { isEmpty, pointsIntoFile } from './gltf-natives.ts';
import { isMembers, type Members } from './json-text.ts';
import type { Loss } from './scene.ts';

/** A model as readModel returns it: all its bytes are in the binary chunk. */
export interface Model {
  json: Members;
  binary: Uint8Array;
}

/** @returns the index in the written file of a node of the model; undefined if the file does not have it. */
export type FindNode = (node: unknown) => number | undefined;

const MESHOPT = /^(?:EXT|KHR)_meshopt_compression$/;
const DRACO = 'KHR_draco_mesh_compression';
const VARIANTS = 'KHR_materials_variants';

const LISTS = [
  ...(['meshes', 'skins', 'animations', 'materials', 'textures', 'images', 'samplers'] as const),
  ...(['accessors', 'bufferViews', 'variants'] as const),
];
type ListName = (typeof LISTS)[number];

/**
 * Copies meshes, skins and animations of models into one file, with all that they use and nothing else. Each part is
 * copied once. Compressed bytes stay compressed. An extension that points into its own file in an unknown way is left out.
 */
export class ModelParts {
  readonly binary = new BinaryParts();
  readonly #lists = Object.fromEntries(LISTS.map((name) => [name, []])) as unknown as Record<
    ListName,
    Members[]
  >;
  readonly #copied = new Map<Model, Map<string, number>>();
  readonly #leftOut = new Map<string, number>();
  readonly #marked = new WeakSet<object>();
  #fallbackBytes = 0;

  /** The parts that the file does not have, by kind. */
  get leftOut(): Loss[] {
    return [...this.#leftOut].map(([kind, count]) => ({ kind, count }));
  }

  /** @returns the members of the written file that have the parts; none if nothing was copied. */
  get members(): Members {
    const { variants, ...lists } = this.#lists;
    const buffers = [
      ...(this.binary.bytes > 0 ? [{ byteLength: this.binary.bytes }] : []),
      ...(this.#fallbackBytes > 0
        ? [{ byteLength: this.#fallbackBytes, extensions: { EXT_meshopt_compression: { fallback: true } } }]
        : []),
    ];
    const filled = Object.entries({ ...lists, buffers }).filter(([, items]) => items.length > 0);
    return Object.fromEntries(filled);
  }

  /** Extensions of the whole file. */
  get extensions(): JsonObject {
    const { variants } = this.#lists;
    return variants.length === 0 ? {} : { [VARIANTS]: { variants: variants as JsonObject[] } };
  }

  noteLeftOut(kind: string): void {
    this.#leftOut.set(kind, (this.#leftOut.get(kind) ?? 0) + 1);
  }

  /** @returns the index of the copy; undefined if the model has no such mesh. */
  copyMesh(model: Model, index: unknown): number | undefined {
    return this.#copy(model, 'meshes', index, (mesh) => ({
      ...mesh,
      primitives: (mesh.primitives as Members[]).map((primitive) => this.#copyPrimitive(model, primitive)),
    }));
  }

  /** @returns the index of a new skin; undefined if the model has no such skin, or the file lacks one of its joints. */
  copySkin(model: Model, index: unknown, findNode: FindNode): number | undefined {
    const skin = itemAt(model.json.skins, index);
    if (skin === undefined) return undefined;
    const joints = (skin.joints as number[]).map(findNode);
    if (joints.includes(undefined)) return undefined;
    const { inverseBindMatrices, skeleton, ...rest } = skin;
    const root = findNode(skeleton);
    const copy = {
      ...this.#copyRest(rest, 'skins'),
      joints,
      ...(inverseBindMatrices !== undefined && {
        inverseBindMatrices: this.#copyAccessor(model, inverseBindMatrices),
      }),
      ...(root !== undefined && { skeleton: root }),
    };
    const text = JSON.stringify(copy);
    const known = this.#lists.skins.findIndex((other) => JSON.stringify(other) === text);
    return known >= 0 ? known : this.#lists.skins.push(copy) - 1;
  }

  /** Copies the channels of the model's animations whose nodes the file has. */
  copyAnimations(model: Model, findNode: FindNode): void {
    for (const animation of listOf(model.json.animations)) {
      const kept = listOf(animation.channels).flatMap((channel) => {
        const target = channel.target as Members;
        const node = findNode(target.node);
        if (node === undefined) return [];
        return [{ ...channel, sampler: Number(channel.sampler), target: { ...target, node } }];
      });
      const lost = listOf(animation.channels).length - kept.length;
      for (let count = 0; count < lost; count++) this.noteLeftOut('animation channels');
      if (kept.length === 0) continue;
      const used = [...new Set(kept.map(({ sampler }) => sampler))];
      this.#lists.animations.push({
        ...this.#copyRest(animation, 'animations'),
        channels: kept.map((channel) => ({ ...channel, sampler: used.indexOf(channel.sampler) })),
        samplers: used.map((at) => {
          const sampler = itemAt(animation.samplers, at) ?? {};
          return {
            ...sampler,
            input: this.#copyAccessor(model, sampler.input),
            output: this.#copyAccessor(model, sampler.output),
          };
        }),
      });
    }
  }

  /** Copies one item of a list, once. */
  #copy(
    model: Model,
    list: ListName,
    index: unknown,
    convert: (item: Members) => Members,
    items: unknown = model.json[list],
  ): number | undefined {
    const item = itemAt(items, index);
    if (item === undefined) return undefined;
    const copied = this.#copied.get(model) ?? new Map<string, number>();
    this.#copied.set(model, copied);
    const key = `${list}/${index}`;
    const known = copied.get(key);
    if (known !== undefined) return known;
    const copy = this.#copyRest(convert(item), list);
    const at = this.#lists[list].push(copy) - 1;
    copied.set(key, at);
    return at;
  }

  #copyPrimitive(model: Model, primitive: Members): Members {
    const { attributes, indices, material, targets, extensions } = primitive;
    const copyAll = (members: unknown) =>
      Object.fromEntries(
        Object.entries(members as Members).map(([name, at]) => [name, this.#copyAccessor(model, at)]),
      );
    const copied = isMembers(extensions) ? this.#copyPrimitiveExtensions(model, extensions) : {};
    return {
      ...primitive,
      attributes: copyAll(attributes),
      ...(indices !== undefined && { indices: this.#copyAccessor(model, indices) }),
      ...(material !== undefined && { material: this.#copyMaterial(model, material) }),
      ...(Array.isArray(targets) && { targets: targets.map(copyAll) }),
      ...(extensions !== undefined && { extensions: copied }),
    };
  }

  #copyPrimitiveExtensions(model: Model, extensions: Members): Members {
    const { [DRACO]: draco, [VARIANTS]: variants, ...others } = extensions;
    return {
      ...this.#selectKnown(others, 'primitives'),
      // Its attributes are ids inside the compressed bytes.
      ...(isMembers(draco) && {
        [DRACO]: { ...draco, bufferView: this.#copyView(model, draco.bufferView) },
      }),
      ...(isMembers(variants) && {
        [VARIANTS]: {
          ...variants,
          mappings: listOf(variants.mappings).map((mapping) => ({
            ...mapping,
            material: this.#copyMaterial(model, mapping.material),
            variants: (Array.isArray(mapping.variants) ? mapping.variants : []).map((at) =>
              this.#copyVariant(model, at),
            ),
          })),
        },
      }),
    };
  }

  #copyVariant(model: Model, index: unknown): number | undefined {
    const { extensions } = model.json;
    const root = isMembers(extensions) ? extensions[VARIANTS] : undefined;
    return this.#copy(model, 'variants', index, (variant) => variant, isMembers(root) ? root.variants : []);
  }

  #copyMaterial(model: Model, index: unknown): number | undefined {
    return this.#copy(
      model,
      'materials',
      index,
      (material) => this.#copyTextures(model, material) as Members,
    );
  }

  /** A copy of a material, or a part of it, in which every texture is one of the written file. */
  #copyTextures(model: Model, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#copyTextures(model, item));
    if (!isMembers(value)) return value;
    const members = Object.entries(value).map(([name, member]) => {
      const copy = this.#copyTextures(model, member);
      if (!/texture$/i.test(name) || !isMembers(copy) || !Number.isInteger(copy.index)) return [name, copy];
      return [name, this.#mark({ ...copy, index: this.#copyTexture(model, copy.index) })];
    });
    return Object.fromEntries(members);
  }

  #copyTexture(model: Model, index: unknown): number | undefined {
    return this.#copy(model, 'textures', index, ({ sampler, source, extensions, ...texture }) => {
      const copyImage = (at: unknown) =>
        this.#copy(model, 'images', at, ({ bufferView, ...image }) => ({
          ...image,
          bufferView: this.#copyView(model, bufferView),
        }));
      const copied = Object.entries(isMembers(extensions) ? extensions : {}).map(([name, value]) => [
        name,
        isMembers(value) && Number.isInteger(value.source)
          ? this.#mark({ ...value, source: copyImage(value.source) })
          : value,
      ]);
      return {
        ...texture,
        ...(sampler !== undefined && { sampler: this.#copy(model, 'samplers', sampler, (item) => item) }),
        ...(source !== undefined && { source: copyImage(source) }),
        ...(copied.length > 0 && { extensions: Object.fromEntries(copied) }),
      };
    });
  }

  #copyAccessor(model: Model, index: unknown): number | undefined {
    return this.#copy(model, 'accessors', index, (accessor) => {
      const { bufferView, sparse } = accessor;
      const copyPart = (part: unknown) => ({
        ...(part as Members),
        bufferView: this.#copyView(model, (part as Members).bufferView),
      });
      return {
        ...accessor,
        ...(bufferView !== undefined && { bufferView: this.#copyView(model, bufferView) }),
        ...(isMembers(sparse) && {
          sparse: { ...sparse, indices: copyPart(sparse.indices), values: copyPart(sparse.values) },
        }),
      };
    });
  }

  #copyView(model: Model, index: unknown): number | undefined {
    return this.#copy(model, 'bufferViews', index, (view) => {
      const extensions = Object.entries(isMembers(view.extensions) ? view.extensions : {});
      const compressed = extensions.find(([name]) => MESHOPT.test(name));
      if (compressed === undefined) return this.#copyBytes(model, view);
      const [name, source] = compressed as [string, Members];
      const byteOffset = this.#fallbackBytes;
      this.#fallbackBytes += Math.ceil(Number(view.byteLength) / 4) * 4;
      const copy = this.#mark(this.#copyBytes(model, source));
      return {
        ...view,
        buffer: 1,
        byteOffset,
        extensions: { ...(view.extensions as Members), [name]: copy },
      };
    });
  }

  #copyBytes({ binary }: Model, part: Members): Members {
    const start = Number(part.byteOffset ?? 0);
    const bytes = binary.subarray(start, start + Number(part.byteLength));
    return { ...part, buffer: 0, byteOffset: this.binary.add(bytes) };
  }

  /** The item with the extensions that mean the same in another file. */
  #copyRest(item: Members, list: ListName): Members {
    const { extensions, ...rest } = item;
    if (!isMembers(extensions)) return rest;
    const known = this.#selectKnown(extensions, list);
    return isEmpty(known) ? rest : { ...rest, extensions: known };
  }

  #selectKnown(extensions: Members, where: string): Members {
    const known = Object.entries(extensions).filter(([name, value]) => {
      if (!pointsIntoFile(value, this.#marked)) return true;
      this.noteLeftOut(`${name} of ${where}`);
      return false;
    });
    return Object.fromEntries(known);
  }

  /** Notes that this part has the indices of the written file. */
  #mark(part: Members): Members {
    this.#marked.add(part);
    return part;
  }
}

function itemAt(list: unknown, index: unknown): Members | undefined {
  const item: unknown = Array.isArray(list) ? list[index as number] : undefined;
  return isMembers(item) ? item : undefined;
}

function listOf(list: unknown): Members[] {
  return Array.isArray(list) ? list.filter(isMembers) : [];
}
