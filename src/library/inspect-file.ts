import type { AssetKind } from './asset-types.ts';
import type { FileInspector } from './file-inspector.ts';
import { GltfInspector } from './gltf-inspector.ts';
import { MediaInspector } from './media-inspector.ts';

export function createInspector(
  kind: AssetKind,
  { bytes, contentType }: { bytes: number; contentType: string | null },
): FileInspector {
  return kind === 'model' ? new GltfInspector(bytes) : new MediaInspector(contentType);
}
