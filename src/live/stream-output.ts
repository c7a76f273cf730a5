const encoder = new TextEncoder();

/** The text that waits for a reader, up to a number of bytes. Writing never waits, and reports when the reader is too slow. */
export class StreamOutput {
  readonly #bytesMax: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #isEnded = false;
  /** Takes so far. */
  #takes = 0;
  #takesSeen = 0;
  /** Woken by a write, and by a take. */
  #onWrite: (() => void) | null = null;
  #onTake: (() => void) | null = null;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @returns false where it would be more than may wait: nothing was written. */
  write(text: string): boolean {
    if (this.#isEnded) return true;
    const piece = encoder.encode(text);
    if (this.#bytes + piece.length > this.#bytesMax) return false;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    this.#wake();
    return true;
  }

  /** All that waits, in one piece; where nothing does, what comes next. Null at the end. One caller at a time. */
  async take(): Promise<Uint8Array | null> {
    this.#takes++;
    while (this.#pieces.length === 0) {
      if (this.#isEnded) return null;
      await new Promise<void>((resolve) => {
        this.#onWrite = resolve;
      });
    }
    const whole = join(this.#pieces, this.#bytes);
    this.#pieces = [];
    this.#bytes = 0;
    this.#wake();
    return whole;
  }

  /** Resolves when nothing waits, or at the end. One caller at a time. */
  async drained(): Promise<void> {
    while (this.#bytes > 0 && !this.#isEnded)
      await new Promise<void>((resolve) => {
        this.#onTake = resolve;
      });
  }

  /** Whether something has waited since this was last asked, and was not taken. */
  isStalled(): boolean {
    const isStalled = this.#bytes > 0 && this.#takes === this.#takesSeen;
    this.#takesSeen = this.#takes;
    return isStalled;
  }

  /** @param keepsRest what waits may still be taken. */
  end(keepsRest: boolean): void {
    this.#isEnded = true;
    if (!keepsRest) {
      this.#pieces = [];
      this.#bytes = 0;
    }
    this.#wake();
  }

  #wake(): void {
    const wakers = [this.#onWrite, this.#onTake];
    this.#onWrite = null;
    this.#onTake = null;
    for (const wake of wakers) wake?.();
  }
}

function join(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
