import { alignUp } from './glb.ts';

/** The binary chunk of a file that is being written. Every part begins at a multiple of four bytes. */
export class BinaryParts {
  readonly pieces: Uint8Array[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns where the part begins */
  add(part: Uint8Array): number {
    const at = this.#bytes;
    const padding = alignUp(part.length) - part.length;
    this.pieces.push(part, ...(padding > 0 ? [new Uint8Array(padding)] : []));
    this.#bytes += part.length + padding;
    return at;
  }
}
