import { isDeepStrictEqual } from 'node:util';
import { propertiesSchema } from '../../world/schemas.ts';
import type { JsonObject, JsonValue } from '../../world/types.ts';
import {
  applyMemberEdits,
  isEmpty,
  LIGHTS,
  selectPortable,
  setOrDelete,
  withoutWorldkeep,
} from './gltf-natives.ts';
import { isMembers, type Members } from './json-text.ts';
import type { Loss } from './scene.ts';

/**
 * The facts of a glTF file about itself, as `settings.gltf` of a space keeps them. `asset` has copyright and such. `scene` is the shown
 * scene. `scenes` has everything but their nodes. The others are `extras`, `extensions` without lights, and `extensionsRequired`.
 */
export type GltfDocument = JsonObject;

/** The names of its members in a result. */
const KINDS: Record<string, string> = {
  asset: 'asset information',
  scene: 'default scene',
  scenes: 'scenes',
  extras: 'extras of the file',
  extensions: 'extensions of the file',
  extensionsRequired: 'required extensions',
};

export function readDocument(json: Members): GltfDocument {
  const { version, minVersion, generator, ...asset } = json.asset as JsonObject;
  const scenes = ((json.scenes ?? []) as JsonObject[]).map(({ nodes, ...scene }) => scene);
  const { [LIGHTS]: _, ...extensions } = isMembers(json.extensions) ? (json.extensions as JsonObject) : {};
  const { extensionsRequired: required } = json;
  const document: JsonObject = {};
  const add = (name: string, value: JsonValue | undefined, isWorthIt: boolean) => {
    if (isWorthIt && value !== undefined) document[name] = value;
  };
  add('asset', asset, !isEmpty(asset));
  add('scene', json.scene as JsonValue | undefined, scenes.length > 1);
  add('scenes', scenes, scenes.length > 1 || scenes.some((scene) => !isEmpty(scene)));
  add('extras', withoutWorldkeep(json.extras), true);
  add('extensions', extensions, !isEmpty(extensions));
  add(
    'extensionsRequired',
    required as JsonValue | undefined,
    Array.isArray(required) && required.length > 0,
  );
  return document;
}

/** The members of a glTF file that come from `settings.gltf`. Scenes are here without their nodes, one at least. */
export interface WrittenDocument {
  asset: JsonObject;
  scene: number;
  scenes: JsonObject[];
  extras: JsonObject;
  extensions: JsonObject;
  /** Extensions that a reader must know, where they are written at all. */
  required: string[];
}

/** @param name of the space, for the one scene of a world that did not come from glTF. */
export function writeDocument(settings: JsonObject, name: string): WrittenDocument {
  const document = documentOf(settings);
  const { asset, scene, scenes, extras, extensions, extensionsRequired } = document;
  const kept = Array.isArray(scenes) && scenes.length > 0 && scenes.every(isMembers) ? scenes : [{ name }];
  const shown = typeof scene === 'number' && Number.isInteger(scene) && scene >= 0 && scene < kept.length;
  return {
    asset: isMembers(asset) ? withPortableExtensions(asset as JsonObject) : {},
    scene: shown ? scene : 0,
    scenes: kept.map((each) => withPortableExtensions(each as JsonObject)),
    extras: isMembers(extras) && !('worldkeep' in extras) ? (extras as JsonObject) : {},
    extensions: selectPortable(extensions, [LIGHTS]),
    required: Array.isArray(extensionsRequired)
      ? [...new Set(extensionsRequired.filter((name) => typeof name === 'string'))]
      : [],
  };
}

export function documentOf(settings: JsonObject): GltfDocument {
  return isMembers(settings.gltf) ? (settings.gltf as JsonObject) : {};
}

function withPortableExtensions({ extensions, ...members }: JsonObject): JsonObject {
  const portable = selectPortable(extensions);
  return isEmpty(portable) ? members : { ...members, extensions: portable };
}

/**
 * @param settings of the space that the file was exported from.
 * @returns the document in them, with what another program changed in the file.
 */
export function applyDocumentEdits(settings: JsonObject, name: string, json: Members): GltfDocument {
  const document = { ...documentOf(settings) };
  const written = readDocument(toFile(writeDocument(settings, name)));
  const found = readDocument(json);
  for (const member of ['asset', 'scene', 'scenes', 'extras'])
    if (!isDeepStrictEqual(written[member], found[member])) setOrDelete(document, member, found[member]);
  const extensions = applyMemberEdits(document.extensions, written.extensions, found.extensions);
  if (!isDeepStrictEqual(extensions, isMembers(document.extensions) ? document.extensions : {}))
    setOrDelete(document, 'extensions', isEmpty(extensions) ? undefined : extensions);
  return document;
}

/** The members as they are in a file, for reading them back. */
function toFile({ extras, extensions, ...document }: WrittenDocument): Members {
  return { ...document, ...(!isEmpty(extras) && { extras }), extensions };
}

/** @returns the settings with as much of the document as fits into them, and what does not fit. */
export function putDocument(
  settings: JsonObject,
  document: GltfDocument,
): { settings: JsonObject; losses: Loss[] } {
  if (isDeepStrictEqual(document, documentOf(settings))) return { settings, losses: [] };
  const { gltf: _, ...others } = settings;
  const kept: JsonObject = {};
  const losses: Loss[] = [];
  const fits = (members: JsonObject) => propertiesSchema.safeParse({ ...others, gltf: members }).success;
  for (const [name, value] of Object.entries(document)) {
    if (fits({ ...kept, [name]: value })) kept[name] = value;
    else if (name !== 'extensions' || !isMembers(value)) losses.push(...describeDocument({ [name]: value }));
    else {
      const fitting: JsonObject = {};
      for (const [extension, content] of Object.entries(value as JsonObject))
        if (fits({ ...kept, extensions: { ...fitting, [extension]: content } })) fitting[extension] = content;
        else losses.push({ kind: `${extension} of the file`, count: 1 });
      if (!isEmpty(fitting)) kept.extensions = fitting;
    }
  }
  return { settings: isEmpty(kept) ? others : { ...others, gltf: kept }, losses };
}

/** The lost parts of a document that is not kept. A scene's name alone is no loss. */
export function describeDocument(document: GltfDocument): Loss[] {
  return Object.entries(document).flatMap(([name, value]) => {
    const parts = name === 'scenes' && Array.isArray(value) ? value.filter(hasMoreThanName) : value;
    const count = typeof parts === 'object' && parts !== null ? Object.keys(parts).length : 1;
    return name === 'scene' || name === 'extensionsRequired' || count === 0
      ? []
      : [{ kind: KINDS[name] ?? name, count: name === 'extras' ? 1 : count }];
  });
}

function hasMoreThanName(scene: unknown): boolean {
  return isMembers(scene) && Object.keys(scene).some((member) => member !== 'name');
}
