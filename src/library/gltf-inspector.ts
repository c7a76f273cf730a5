import { checkGltf } from './check-gltf.ts';
import { type FileInspector, type Inspected, invalidFile } from './file-inspector.ts';
import { GlbReader } from './glb-reader.ts';
import { summarizeGltf } from './gltf-summary.ts';

/**
 * Checks a .glb or .gltf file while it comes in, and counts its parts. It refuses a file that is not glTF 2.0, that lies about its
 * length, that needs other files, or that would break a viewer.
 */
export class GltfInspector implements FileInspector {
  readonly #reader: GlbReader;

  /** @param bytes the announced length of the file */
  constructor(bytes: number) {
    this.#reader = new GlbReader(bytes);
  }

  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
  }

  finish(): Inspected {
    const { format, text, binBytes } = this.#reader.finish();
    const gltf = checkGltf(parse(text), binBytes);
    return {
      contentType: format === 'glb' ? 'model/gltf-binary' : 'model/gltf+json',
      details: { format, ...summarizeGltf(gltf) },
    };
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // The message of the parser shows a part of the file.
    const at = cause instanceof SyntaxError ? /position (\d+)/.exec(cause.message)?.[1] : undefined;
    throw invalidFile(
      `The JSON of the file is not valid${at === undefined ? '' : `, at character ${at}`}.`,
      cause,
    );
  }
}
