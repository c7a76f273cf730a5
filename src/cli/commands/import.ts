import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve, sep } from 'node:path';
import { countOf, showCount } from '../../helpers/counts.ts';
import type { FieldError } from '../../world/errors.ts';
import { LIMITS } from '../../world/limits.ts';
import type { JsonObject, SaveMode } from '../../world/types.ts';
import { toState } from '../../world/world-input.ts';
import { keepDocument, putOlderChat } from '../after-import.ts';
import { Api, NDJSON, type SavedState, type SpaceAnswer } from '../api.ts';
import { splitChat } from '../chat-batches.ts';
import { type Context, defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';
import { CommandError, systemCode, UsageError } from '../errors.ts';
import { isGlb } from '../formats/glb.ts';
import { referToModel } from '../formats/gltf-models.ts';
import { readScene, SCENE_FILE_BYTES_MAX } from '../formats/read-scene.ts';
import {
  type Loss,
  type Note,
  type Scene,
  SceneError,
  type SceneSource,
  type Shapes,
  sceneErrorOf,
} from '../formats/scene.ts';
import { checkSpaceId, SPACE_OPTION } from '../space-option.ts';
import { writeWorldLines } from '../state-lines.ts';

/** Bytes of a state as JSON that the API takes in one piece; a larger one goes line by line. */
const STATE_BODY_BYTES_MAX = 32 * 1024 * 1024;
/** Bytes of users, models, media and chat that one save is given: below the API's limit, which counts other names. */
const ASIDE_BYTES_MAX = LIMITS.stateAsideBytesMax - 1024 * 1024;

export const importCommand = defineCommand({
  name: 'import',
  description: 'Put a scene into a space: every node becomes an object, all or nothing',
  args: {
    file: {
      type: 'positional',
      description:
        'glTF (.glb, .gltf), Hubs scene (.spoke), export of worldkeep, or backup of an in-memory server',
      required: true,
    },
    ...SPACE_OPTION,
    mode: {
      type: 'enum',
      options: ['replace', 'merge'],
      default: 'replace',
      description:
        'replace: the scene becomes the world. merge: it is added; what carries the id of an object replaces it',
    },
    'with-models': {
      type: 'boolean',
      default: false,
      description:
        'Store the glTF file in the library too, so that viewers can show the shapes of its objects',
    },
    name: { type: 'string', description: "Name of a space made for it; else the scene's or the file's" },
    ...JSON_OPTION,
  },
  examples: ['import plaza.glb --space plaza --with-models', 'import lamps.gltf --space plaza --mode merge'],
  async run({ file, space, mode, name, 'with-models': withModels }, context) {
    checkSpaceId(space);
    const api = new Api(resolveConnection(context), context.signal);
    const source = {
      file,
      stem: basename(file, extname(file)),
      idStamp: mode === 'merge' ? makeIdStamp() : undefined,
      withModels,
      readNear: (path: string) => readNear(resolve(context.cwd, file), path),
    };
    const scene = await readScene(await readSceneFile(file, context), source);
    context.progress.note(`read ${file}: ${scene.format}, ${countOf(scene.objects, 'object')}`);
    if (withModels && scene.format !== 'glb' && scene.format !== 'gltf')
      throw new UsageError(`--with-models needs a glTF file. ${file} is another kind: ${scene.format}.`, {
        showUsage: false,
      });
    const model = scene.shapes === undefined ? null : await putModel(api, source, scene.shapes, context);
    if (model !== null && scene.shapes !== undefined) referToModel(scene.world, scene.shapes, model.id);
    const { world, older } = splitChat(scene.world, ASIDE_BYTES_MAX);
    const body = encodeWorld(world);
    const { created, objectsBefore, saved, losses, notes } = await send(
      api,
      { space, mode: mode as SaveMode, name, scene, source, model, body, older },
      context,
    );
    const document = {
      file,
      format: scene.format,
      space,
      created,
      mode,
      objectsBefore,
      objects: scene.objects,
      model,
      normalisedRotations: scene.normalisedRotations,
      notPreserved: [...scene.notPreserved, ...losses],
      notes: [...scene.notes, ...notes],
      seq: saved.seq,
      durability: saved.durability,
    };
    return { document, text: describe(document) };
  },
});

/** 48 random bits: no two imports have the same. */
function makeIdStamp(): string {
  return randomUUID().replaceAll('-', '').slice(-12);
}

interface StoredModel {
  id: string;
  /** False if the library had it already. */
  isNew: boolean;
  bytes: number;
  /** How many objects reference it. */
  objects: number;
}

/** Stores the file in the library, if it is not there. */
async function putModel(
  api: Api,
  { stem }: SceneSource,
  { bytes, shown }: Shapes,
  { progress }: Context,
): Promise<StoredModel> {
  const task = progress.startBytes('sent the model', bytes.length);
  const stored = await api.putModel(`${stem}.${isGlb(bytes) ? 'glb' : 'gltf'}`, bytes, (sent) =>
    task.update(sent),
  );
  if (stored.isNew) task.finish();
  else progress.note(`the library has the model already: ${stored.id}`);
  return { ...stored, bytes: bytes.length, objects: shown.length };
}

interface Sending {
  space: string;
  mode: SaveMode;
  name: string | undefined;
  scene: Scene;
  source: SceneSource;
  model: StoredModel | null;
  body: Body;
  /** Messages for which the world's own save has no room. */
  older: readonly JsonObject[][];
}

/** If the scene does not get in, the space and the model that were made for it go again. */
async function send(
  api: Api,
  { space, mode, name, scene, source, model, body, older }: Sending,
  context: Context,
) {
  const input = { ...scene.space, ...(name !== undefined && { name }) };
  let created = false;
  let before: SpaceAnswer | null;
  let objectsBefore: number | null = null;
  let notes: Note[] = [];
  let saved: SavedState;
  try {
    before = await api.getSpace(space);
    created = before === null && (await api.putSpace(space, input));
    if (mode === 'replace' && before !== null) objectsBefore = await api.countObjects(space);
    if (mode === 'merge' && !created) notes = await findReplaced(api, space, scene, source.idStamp);
    const task = context.progress.startBytes('sent', body.bytes.length);
    saved = await api.putState(space, mode, body, (bytes) => task.update(bytes));
    task.finish();
  } catch (error) {
    const refused =
      error instanceof CommandError && error.details.errors !== undefined
        ? sceneErrorOf(source.file, scene, error.details.errors.map(body.locate))
        : error;
    if (created)
      await undo(() => api.deleteSpace(space), refused, {
        code: 'space_left_behind',
        left: `the space ${space}, made for it, could not be removed again`,
      });
    if (model?.isNew)
      await undo(() => api.deleteModel(model.id), refused, {
        code: 'model_left_behind',
        left: `the model ${model.id}, stored for it, could not be deleted again`,
      });
    throw refused;
  }
  await putOlderChat(api, space, older);
  const losses = before === null ? [] : await keepDocument(api, before, scene, mode);
  return { created, objectsBefore, saved, losses, notes };
}

/** Counts the objects of the space that a merge replaces: the file may come from another space. */
async function findReplaced(api: Api, space: string, scene: Scene, stamp = ''): Promise<Note[]> {
  const { objects } = toState(scene.world) as { objects: { id: string }[] };
  const given = objects.filter(({ id }) => !id.includes(`-${stamp}`));
  if (given.length === 0) return [];
  const there = await api.listObjectIds(space);
  const count = given.filter(({ id }) => there.has(id)).length;
  const message = `objects of the space with an id of the file were replaced (${showCount(count)})`;
  return count === 0 ? [] : [{ code: 'replaced_objects', count, message }];
}

/** Removes what was made for a scene that did not get in. @param left what is there if that fails too */
async function undo(
  work: () => Promise<void>,
  because: unknown,
  { code, left }: { code: string; left: string },
): Promise<void> {
  try {
    await work();
  } catch {
    const reason = because instanceof Error ? because.message : String(because);
    throw new CommandError(code, `${reason}; and ${left}`, {}, because);
  }
}

async function readSceneFile(file: string, { cwd, progress }: Context): Promise<Uint8Array> {
  try {
    // Without waiting: a pipe that nobody writes to would hold the opening for ever.
    await using handle = await open(resolve(cwd, file), constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat();
    if (stat.isDirectory()) throw new SceneError(file, null, 'is a folder, not a file');
    if (!stat.isFile()) throw new SceneError(file, null, 'is not a regular file');
    if (stat.size > SCENE_FILE_BYTES_MAX)
      throw new SceneError(
        file,
        null,
        `has ${countOf(stat.size, 'byte')}; at most ${showCount(SCENE_FILE_BYTES_MAX)} can be read`,
      );
    const task = progress.startBytes(`reading ${file}`, stat.size);
    const bytes = new Uint8Array(stat.size);
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await handle.read(bytes, at, Math.min(bytes.length - at, 4 * 1024 * 1024));
      if (bytesRead === 0) break;
      at += bytesRead;
      task.update(at);
    }
    progress.stop();
    return bytes.subarray(0, at);
  } catch (error) {
    if (error instanceof SceneError) throw error;
    throw new SceneError(file, null, describeFileFailure(error));
  }
}

/** @returns null where it is no file that can be read: what it holds is then missing, which the scene's reader says. */
async function readNear(scene: string, path: string): Promise<Uint8Array | null> {
  try {
    // Hidden files and links to other folders are not part of a scene, and an import publishes what it reads.
    if (path.split(/[/\\]/).some((part) => part.startsWith('.') && part !== '.')) return null;
    const folder = await realpath(dirname(scene));
    const near = await realpath(join(folder, path));
    if (!near.startsWith(join(folder, sep))) return null;
    const found = await stat(near);
    return found.isFile() && found.size <= SCENE_FILE_BYTES_MAX ? await readFile(near) : null;
  } catch {
    return null;
  }
}

function describeFileFailure(error: unknown): string {
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read: permission denied';
  return `cannot be read: ${code ?? (error instanceof Error ? error.message : String(error))}`;
}

interface Body {
  bytes: Uint8Array;
  type: 'application/json' | typeof NDJSON;
  /** Where in the scene's world an error of the server's is. */
  locate(error: FieldError): FieldError;
}

function encodeWorld(world: JsonObject): Body {
  const bytes = new TextEncoder().encode(JSON.stringify(world));
  if (bytes.length <= STATE_BODY_BYTES_MAX)
    return { bytes, type: 'application/json', locate: (error) => error };
  return { ...writeWorldLines(world), type: NDJSON };
}

function describe(done: {
  file: string;
  space: string;
  created: boolean;
  mode: string;
  /** Of the world that this one replaced; null: there was none, or the scene was merged. */
  objectsBefore: number | null;
  objects: number;
  model: StoredModel | null;
  normalisedRotations: number;
  notPreserved: readonly Loss[];
  notes: readonly Note[];
  seq: number;
  durability: string;
}): string {
  const what = done.mode === 'merge' ? 'merged into' : 'is now';
  const made = done.created ? ' (made)' : '';
  const replaced = done.objectsBefore
    ? ` (replaced a world of ${countOf(done.objectsBefore, 'object')})`
    : '';
  const turned =
    done.normalisedRotations > 0 ? `, normalised ${countOf(done.normalisedRotations, 'rotation')}` : '';
  return [
    `${done.file} ${what} space ${done.space}${made}${replaced}: ${countOf(done.objects, 'object')}${turned}, seq ${done.seq}, ${done.durability}`,
    ...(done.model === null
      ? []
      : [
          `model ${done.model.id} (${done.model.isNew ? 'new' : 'known'}, ${countOf(done.model.bytes, 'byte')}) has the shapes of ${countOf(done.model.objects, 'object')}`,
        ]),
    ...done.notPreserved.map(({ kind, count }) => `not preserved: ${kind} (${showCount(count)})`),
    ...done.notes.map(({ message }) => `note: ${message}`),
  ].join('\n');
}
