import { imageSize } from 'image-size';
import { filetypemime } from 'magic-bytes.js';
import { LIMITS } from '../world/limits.ts';
import type { JsonObject } from '../world/types.ts';
import { type FileInspector, type Inspected, invalidFile } from './file-inspector.ts';

/** Media types that browsers show and that hold no script. */
const ALLOWED = [
  ...['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif', 'image/ktx2'],
  ...['audio/mpeg', 'audio/ogg', 'audio/wav', 'audio/flac', 'audio/mp4', 'audio/webm'],
  ...['video/mp4', 'video/webm'],
];

/** Other names of these types. */
const ALIASES: Readonly<Record<string, string>> = {
  'application/ogg': 'audio/ogg',
  'audio/x-wav': 'audio/wav',
  'audio/vnd.wave': 'audio/wav',
  'audio/wave': 'audio/wav',
  'audio/mp3': 'audio/mpeg',
  'audio/x-m4a': 'audio/mp4',
  'audio/m4a': 'audio/mp4',
  'audio/x-flac': 'audio/flac',
  'image/jpg': 'image/jpeg',
};

const KTX2 = [0xab, 0x4b, 0x54, 0x58, 0x20, 0x32, 0x30, 0xbb];
/** Bytes that the detection of a type needs. */
const TYPE_BYTES = 64;

/** Images, audio and video, recognised by their first bytes. */
export class MediaInspector implements FileInspector {
  readonly #declared: string | null;
  #head = new Uint8Array();
  #candidates: string[] | null = null;

  /** @param declared the media type that the caller declares; null: none */
  constructor(declared: string | null) {
    const type = declared?.split(';')[0]?.trim().toLowerCase() ?? '';
    this.#declared = /^(image|audio|video)\//.test(type) ? (ALIASES[type] ?? type) : null;
  }

  push(chunk: Uint8Array): void {
    const room = LIMITS.assetHeadBytesMax - this.#head.length;
    if (room <= 0) return;
    const head = new Uint8Array(this.#head.length + Math.min(room, chunk.length));
    head.set(this.#head);
    head.set(chunk.subarray(0, room), this.#head.length);
    this.#head = head;
    if (head.length >= TYPE_BYTES) this.#candidates ??= this.#detect();
  }

  finish(): Inspected {
    this.#candidates ??= this.#detect();
    const [first = ''] = this.#candidates;
    const contentType = this.#declared ?? first;
    return { contentType, details: contentType.startsWith('image/') ? this.#measure() : {} };
  }

  /** @throws invalid_file */
  #detect(): string[] {
    const candidates = detectMediaTypes(this.#head);
    const [first] = candidates;
    if (first === undefined)
      throw invalidFile(
        `The file is not an image, audio or video file of a supported type. Supported are ${ALLOWED.join(', ')}.`,
      );
    if (this.#declared !== null && !candidates.includes(this.#declared))
      throw invalidFile(`The file is declared as ${this.#declared}, but its first bytes say ${first}.`);
    return candidates;
  }

  #measure(): JsonObject {
    try {
      const { width, height } = imageSize(this.#head);
      return { width, height };
    } catch {
      // The size is not among the first bytes. The image is good all the same.
      return { width: null, height: null };
    }
  }
}

/** The supported types that a file may have, the most likely one first. @param head its first bytes */
export function detectMediaTypes(head: Uint8Array): string[] {
  if (KTX2.every((byte, i) => head[i] === byte)) return ['image/ktx2'];
  const found = new Set<string>();
  for (const mime of filetypemime(head)) {
    const type = ALIASES[mime] ?? mime;
    // A Matroska file has the same first bytes as WebM.
    if (type === 'audio/webm') {
      if (!new TextDecoder().decode(head.subarray(0, TYPE_BYTES)).includes('webm')) continue;
      found.add('video/webm');
    }
    if (type === 'video/mp4') found.add('video/mp4').add('audio/mp4');
    if (ALLOWED.includes(type)) found.add(type);
  }
  return [...found];
}
