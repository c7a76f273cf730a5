import type { FieldError } from '../../world/errors.ts';
import type { Bounds, JsonObject, ObjectInput } from '../../world/types.ts';

/** A scene file that cannot be imported: the file, the place in it, and the error. Nothing has been sent. */
export class SceneError extends Error {
  readonly file: string;
  /** The node, entity or object it is about, as a reader finds it in the file; null where it is the file itself. */
  readonly node: string | null;

  constructor(file: string, node: string | null, what: string) {
    super(node === null ? `${file}: ${what}` : `${file}: ${node}: ${what}`);
    this.name = 'SceneError';
    this.file = file;
    this.node = node;
  }
}

export type SceneFormat = 'glb' | 'gltf' | 'spoke' | 'state' | 'backup';

/** Where a scene comes from. */
export interface SceneSource {
  /** The path as the caller gave it: what messages call the file. */
  file: string;
  /** The file's name without folder and extension. */
  stem: string;
  /**
   * Text that no id has yet, for a merge. It becomes part of every new id, so that a node never replaces an existing object. Absent: the
   * world is replaced, and the same file gives the same ids each time.
   */
  idStamp?: string | undefined;
  /** Whether the file's shapes are stored as a model, which the objects then reference. */
  withModels?: boolean | undefined;
  /** Reads a file in the scene's folder, by its path from there; null where it is not there. */
  readNear?: ((path: string) => Promise<Uint8Array | null>) | undefined;
}

/** A kind of thing that the world does not hold, and how many of it the file has. */
export interface Loss {
  kind: string;
  count: number;
}

export interface Note {
  code: 'no_nodes' | 'no_meshes' | 'copied_nodes' | 'outside_default_scene' | 'replaced_objects';
  count: number;
  message: string;
}

/** The shapes of a glTF file, to be stored as one model. */
export interface Shapes {
  /** The file with all that it refers to, as binary glTF. */
  bytes: Uint8Array;
  /** Objects that show a mesh of the file, by their place in the world. */
  shown: readonly number[];
  /** Objects that are nodes of the file's meshes, skins and animations. */
  named: readonly number[];
}

/** A file's content in the form that the state of a space is put in. */
export interface Scene {
  format: SceneFormat;
  /** The body of `PUT /v1/spaces/{space}/state`. */
  world: JsonObject;
  objects: number;
  /** Parts of the file that the world does not hold, by kind. */
  notPreserved: readonly Loss[];
  /** Facts about the import that the caller should know. */
  notes: readonly Note[];
  /** Absent if the file has none, or if they were not asked for. */
  shapes?: Shapes;
  /** Facts of the file about itself, for `settings.gltf` of the space; absent for a format without them. */
  document?: JsonObject;
  /** The members of a space that is created for this scene. */
  space: { name: string; description?: string | null; settings?: JsonObject; bounds?: Bounds | null };
  /** Rotations so far from length 1 that worldkeep will normalise them. */
  normalisedRotations: number;
  /** @returns what a path in `world` is called in the file and the rest of the path, or null where it is about the file. */
  locate(path: string): { node: string | null; rest: string };
}

/** A scene as a format reads it. */
export type ParsedScene = Omit<Scene, 'normalisedRotations'>;

/** Objects made from a file's nodes, with what each node is called in messages. */
export function locateInObjects(labels: readonly string[]): Scene['locate'] {
  return (path) => {
    const match = /^\/objects\/(\d+)(.*)$/.exec(path);
    const label = match === null ? undefined : labels[Number(match[1])];
    return label === undefined ? { node: null, rest: path } : { node: label, rest: match?.[2] ?? '' };
  };
}

/** @returns objects as the JSON that is sent; an interface is no index type, so the compiler has to be told. */
export function toWorld(objects: readonly ObjectInput[]): JsonObject {
  return { objects: objects as unknown as JsonObject[] };
}

/** One sentence for the first thing that is wrong, and how many more there are. */
export function sceneErrorOf(
  file: string,
  scene: Pick<Scene, 'locate'>,
  errors: readonly FieldError[],
): SceneError {
  const [first] = errors;
  if (first === undefined) return new SceneError(file, null, 'is not a world');
  const { node, rest } = scene.locate(first.path);
  const what = rest === '' ? first.message : `${rest.slice(1)} ${first.message}`;
  const more = errors.length - 1;
  return new SceneError(file, node, more === 0 ? what : `${what} (and ${more} more)`);
}
