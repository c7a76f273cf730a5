import { countOf, showCount } from '../../helpers/counts.ts';
import { AppError } from '../../world/errors.ts';
import { refuseUnkeepable } from '../../world/json-text.ts';
import { checkWorld, toState } from '../../world/world-input.ts';
import { readBackup } from './backup.ts';
import { isGlb } from './glb.ts';
import { isMembers, parseJsonBytes } from './json-text.ts';
import { countNormalisedRotations } from './rotations.ts';
import { type ParsedScene, type Scene, SceneError, type SceneSource, sceneErrorOf } from './scene.ts';
import { readSpoke } from './spoke.ts';
import { readState } from './state.ts';

/** Bytes of a scene file. Text this long is near what one string can hold. */
export const SCENE_FILE_BYTES_MAX = 512 * 1024 * 1024;

const KNOWN = 'glTF (.glb, .gltf), a Hubs scene (.spoke), an export of worldkeep, or a backup {objects: …}';

/**
 * Reads a scene of any kind that is known, told by its content; the file's name only words the messages. The world it
 * returns has passed the same check that the server makes.
 * @throws SceneError naming the file, the node if it is about one, and the error.
 */
export async function readScene(bytes: Uint8Array, given: SceneSource): Promise<Scene> {
  const { file } = given;
  // Systems spell the same name in different code points (é, or e and an accent), and ids begin with it.
  const source = { ...given, stem: given.stem.normalize('NFC') };
  if (bytes.length === 0) throw new SceneError(file, null, 'is empty');
  if (bytes.length > SCENE_FILE_BYTES_MAX)
    throw new SceneError(
      file,
      null,
      `has ${countOf(bytes.length, 'byte')}; at most ${showCount(SCENE_FILE_BYTES_MAX)} can be read`,
    );
  const scene = await readKind(bytes, source);
  try {
    refuseUnkeepable(scene.world);
    checkWorld(scene.world);
    return { ...scene, normalisedRotations: countNormalisedRotations(toState(scene.world)) };
  } catch (error) {
    if (error instanceof AppError) throw sceneErrorOf(file, scene, error.errors);
    throw error;
  }
}

async function readKind(bytes: Uint8Array, source: SceneSource): Promise<ParsedScene> {
  const { file } = source;
  if (isGlb(bytes)) return (await import('./gltf.ts')).readGlb(bytes, source);
  refuseOtherBinary(bytes, file);
  refuseOtherText(bytes, file);
  const json = parseJsonBytes(bytes, file);
  if (isMembers(json)) {
    if (isMembers(json.entities) || (json.root !== undefined && json.entities !== undefined))
      return readSpoke(json, source);
    if (isMembers(json.asset)) return readGltfText(json, bytes, source);
    if (Array.isArray(json.objects)) return readState(json, source);
    if (isMembers(json.objects)) return readBackup(json, source);
    // glTF 1 may lack its asset: the reader of glTF says what is wrong.
    if (json.nodes !== undefined || json.scenes !== undefined) return readGltfText(json, bytes, source);
  }
  throw new SceneError(file, null, `is JSON, but no scene that is known here: ${KNOWN}`);
}

async function readGltfText(json: unknown, bytes: Uint8Array, source: SceneSource): Promise<ParsedScene> {
  const { readGltf } = await import('./gltf.ts');
  return readGltf(json, source, { format: 'gltf', binary: null, bytes });
}

/** No JSON text has a zero byte: this message is clearer than one about a character. */
function refuseOtherBinary(bytes: Uint8Array, file: string): void {
  if (/\.glb$/i.test(file))
    throw new SceneError(file, null, "is no binary glTF: it does not begin with the letters 'glTF'");
  if (bytes.subarray(0, 4096).includes(0))
    throw new SceneError(file, null, `is binary, but no scene that is known here: ${KNOWN}`);
}

/** No scene as text begins with another character: the place of a fault in JSON would not help. */
function refuseOtherText(bytes: Uint8Array, file: string): void {
  const begin = new TextDecoder().decode(bytes.subarray(0, 4096)).trimStart();
  if (/^[^{[]/.test(begin))
    throw new SceneError(file, null, `is text, but no scene that is known here: ${KNOWN}`);
}
