import type { LoadBuffer } from './gltf-instances.ts';
import type { SceneSource } from './scene.ts';

const DATA_URI = /^data:[^,]*;base64,/;

/**
 * Loads buffers from the binary chunk, from a data URI, or from a file in the scene's folder. No other source is allowed, so that a scene
 * cannot name other files of this machine, or an address.
 */
export function createBufferLoader(binary: Uint8Array | null, readNear: SceneSource['readNear']): LoadBuffer {
  const loaded = new Map<number, Promise<Uint8Array | null>>();
  const load = async (uri: unknown, index: number): Promise<Uint8Array | null> =>
    uri === undefined ? (index === 0 ? binary : null) : loadUri(uri, readNear);
  return ({ uri }, index) => {
    const before = loaded.get(index) ?? load(uri, index);
    loaded.set(index, before);
    return before;
  };
}

/** Loads what a data URI contains, or a file in the scene's folder. @returns null for any other, and for a missing file */
export async function loadUri(uri: unknown, readNear: SceneSource['readNear']): Promise<Uint8Array | null> {
  if (typeof uri !== 'string') return null;
  const prefix = DATA_URI.exec(uri)?.[0];
  if (prefix !== undefined) return Buffer.from(uri.slice(prefix.length), 'base64');
  const path = decodePath(uri);
  return path === null ? null : ((await readNear?.(path)) ?? null);
}

/** @returns a path below the scene's folder, or null. */
function decodePath(uri: string): string | null {
  let path: string;
  try {
    path = decodeURIComponent(uri);
  } catch {
    return null;
  }
  const isBelow = !/^[a-z][a-z0-9+.-]*:|^\/|\\|\0/i.test(path) && !path.split('/').includes('..');
  return isBelow ? path : null;
}
