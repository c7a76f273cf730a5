import { LIMITS } from '../world/limits.ts';
import { invalidFile } from './file-inspector.ts';

const HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
const JSON_CHUNK = 0x4e4f534a;
const BIN_CHUNK = 0x004e4942;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const BRACE = 0x7b;
const SPACES = [0x20, 0x09, 0x0a, 0x0d];

type Step = 'magic' | 'header' | 'chunk header' | 'json' | 'skip' | 'text';

/**
 * Reads a glTF file in pieces: the JSON text is kept, all other bytes are skipped. A .glb file has a header and chunks; a .gltf file
 * is JSON. Errors come as soon as a byte shows them.
 */
export class GlbReader {
  readonly #bytes: number;
  #step: Step = 'magic';
  #head: number[] = [];
  #position = 0;
  /** Bytes that are left in the chunk. */
  #left = 0;
  #chunks = 0;
  #json: Uint8Array[] = [];
  #jsonBytes = 0;
  /** Bytes of the binary chunk; null: there is none. */
  #binBytes: number | null = null;

  /** @param bytes the length of the file */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** @throws invalid_file */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#step === 'text' || this.#step === 'json' || this.#step === 'skip') {
        const end = this.#step === 'text' ? chunk.length : Math.min(chunk.length, at + this.#left);
        const part = chunk.subarray(at, end);
        if (this.#step !== 'skip') this.#keep(part);
        this.#left -= part.length;
        this.#position += part.length;
        at = end;
        if (this.#step !== 'text' && this.#left === 0) this.#step = 'chunk header';
        continue;
      }
      this.#head.push(chunk[at] as number);
      this.#position++;
      at++;
      this.#readHead();
    }
  }

  /** @returns the JSON text. @throws invalid_file for a file that ends too early */
  finish(): { format: 'glb' | 'gltf'; text: string; binBytes: number | null } {
    if (this.#step === 'magic') this.#startText();
    const isText = this.#step === 'text';
    if (!isText && (this.#step !== 'chunk header' || this.#head.length > 0 || this.#position < this.#bytes))
      throw invalidFile(`The file ends at byte ${this.#position}, but it needs ${this.#bytes} bytes.`);
    if (!isText && this.#chunks === 0) throw invalidFile('The file has no JSON chunk.');
    return {
      format: isText ? 'gltf' : 'glb',
      text: decode(this.#json, this.#jsonBytes),
      binBytes: this.#binBytes,
    };
  }

  #readHead(): void {
    const { length } = this.#head;
    if (this.#step === 'magic' && length === 4) {
      if (String.fromCharCode(...this.#head) === 'glTF') this.#step = 'header';
      else this.#startText();
    } else if (this.#step === 'header' && length === HEADER_BYTES) this.#readHeader();
    else if (this.#step === 'chunk header' && length === CHUNK_HEADER_BYTES) this.#readChunkHeader();
  }

  #startText(): void {
    const start = BYTE_ORDER_MARK.every((byte, i) => this.#head[i] === byte) ? BYTE_ORDER_MARK.length : 0;
    const first = this.#head.slice(start).find((byte) => !SPACES.includes(byte));
    if (first !== undefined && first !== BRACE) {
      const shown = this.#head.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      throw invalidFile(
        `The file is not glTF: it begins with the bytes ${shown}. Upload a .glb or .gltf file.`,
      );
    }
    if (this.#bytes > LIMITS.gltfJsonBytesMax)
      throw invalidFile(
        `A .gltf file can have at most ${LIMITS.gltfJsonBytesMax} bytes, not ${this.#bytes}. Pack it as .glb.`,
      );
    this.#step = 'text';
    this.#keep(Uint8Array.from(this.#head.slice(start)));
    this.#head = [];
  }

  #readHeader(): void {
    const [, version, length] = readWords(this.#head);
    this.#head = [];
    if (version !== 2)
      throw invalidFile(`The file has version ${version} of binary glTF. Convert it to glTF 2.0.`);
    if (length !== this.#bytes)
      throw invalidFile(`The header says ${length} bytes, but the file has ${this.#bytes} bytes.`);
    this.#step = 'chunk header';
  }

  #readChunkHeader(): void {
    const [length = 0, type] = readWords(this.#head);
    const at = this.#position - CHUNK_HEADER_BYTES;
    this.#head = [];
    const isJson = this.#chunks === 0;
    if (isJson && type !== JSON_CHUNK) throw invalidFile('The first chunk of the file must be JSON.');
    if (isJson && length > LIMITS.gltfJsonBytesMax)
      throw invalidFile(
        `The JSON chunk declares ${length} bytes, but can have at most ${LIMITS.gltfJsonBytesMax}.`,
      );
    if (length > this.#bytes - this.#position)
      throw invalidFile(
        `The chunk at byte ${at} declares ${length} bytes, but only ${this.#bytes - this.#position} bytes are left.`,
      );
    if (length % 4 !== 0)
      throw invalidFile(`The chunk at byte ${at} has ${length} bytes. A chunk needs a multiple of 4.`);
    if (type === BIN_CHUNK && this.#chunks === 1) this.#binBytes = length;
    this.#chunks++;
    this.#left = length;
    this.#step = length === 0 ? 'chunk header' : isJson ? 'json' : 'skip';
  }

  #keep(part: Uint8Array): void {
    this.#jsonBytes += part.length;
    // The source may use its memory again.
    this.#json.push(part.slice());
  }
}

/** Unsigned 32-bit numbers, little-endian. */
function readWords(head: readonly number[]): number[] {
  const view = new DataView(Uint8Array.from(head).buffer);
  return Array.from({ length: head.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}

function decode(parts: readonly Uint8Array[], length: number): string {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  try {
    // Some writers fill the chunk with NUL and not with spaces.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\0+$/, '');
  } catch (cause) {
    throw invalidFile('The JSON of the file is not UTF-8 text.', cause);
  }
}
