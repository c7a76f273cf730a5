import { isGlb, sliceGlbBinary, sliceGlbJson } from './glb.ts';
import { isMembers, parseJsonBytes } from './json-text.ts';
import type { Model } from './model-parts.ts';
import { packGlb } from './pack-glb.ts';
import { SceneError } from './scene.ts';

/** Reads a file of the library: .glb or .gltf with all its parts inside. @throws SceneError */
export async function readModel(bytes: Uint8Array, file: string): Promise<Model> {
  const json = parseJsonBytes(isGlb(bytes) ? sliceGlbJson(bytes, file) : bytes, file);
  if (!isMembers(json)) throw new SceneError(file, null, 'holds JSON, but no glTF object');
  const binary = isGlb(bytes) ? sliceGlbBinary(bytes) : null;
  const packed = await packGlb(bytes, json, { binary, source: { file, stem: file } });
  if (packed === bytes) return { json, binary: binary ?? new Uint8Array() };
  return readModel(packed, file);
}
