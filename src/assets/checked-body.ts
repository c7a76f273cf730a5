import { digestMismatch, lengthMismatch } from './bucket.ts';

/** A SHA-256 digest in pieces, such as `createHash('sha256')` of Node. */
export interface Sha256 {
  update(chunk: Uint8Array): unknown;
  digest(): Uint8Array;
}

export interface BodyChecks {
  bytes: number;
  /** The expected digest and the hash that computes it. */
  digest?: { sha256: Uint8Array; hash: Sha256 } | undefined;
}

/**
 * A body that fails unless its length and digest are correct. It withholds the last chunk until it has checked both, so that a store
 * never receives the whole of a wrong body.
 */
export class CheckedBody {
  /** Reads the source only when it is read itself. */
  readonly stream: ReadableStream<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #checks: BodyChecks;
  #received = 0;
  #withheld: Uint8Array | null = null;
  #isChecked = false;
  #isAbandoned = false;
  #failure: { error: unknown } | null = null;

  constructor(source: ReadableStream<Uint8Array>, checks: BodyChecks) {
    this.#reader = source.getReader();
    this.#checks = checks;
    this.stream = new ReadableStream(
      {
        pull: (controller) => this.#pull(controller),
        cancel: (reason) => this.abandon(reason),
      },
      { highWaterMark: 0 },
    );
  }

  /** The error of the source or of a check. Clients wrap it in an error of their own. */
  get failure(): { error: unknown } | null {
    return this.#failure;
  }

  /** Whether the body was read to its end, and is correct. */
  get isComplete(): boolean {
    return this.#isChecked && this.#failure === null;
  }

  /** Cancels the source if it has not ended. */
  async abandon(reason?: unknown): Promise<void> {
    this.#isAbandoned = true;
    await this.#reader.cancel(reason).catch(() => undefined);
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      const chunk = await this.#next();
      if (chunk === null) controller.close();
      else controller.enqueue(chunk);
    } catch (error) {
      // The end of a cancelled source is not its own.
      if (!this.#isAbandoned) this.#failure = { error };
      controller.error(error);
      await this.abandon(error);
    }
  }

  async #next(): Promise<Uint8Array | null> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) {
        this.#checkEnd();
        const last = this.#withheld;
        this.#withheld = null;
        return last;
      }
      if (value.byteLength === 0) continue;
      this.#received += value.byteLength;
      if (this.#received > this.#checks.bytes) throw lengthMismatch(this.#checks.bytes);
      this.#checks.digest?.hash.update(value);
      const ready = this.#withheld;
      this.#withheld = value;
      if (ready !== null) return ready;
    }
  }

  /** Runs once: the second `done` comes after the withheld chunk. */
  #checkEnd(): void {
    if (this.#isChecked) return;
    this.#isChecked = true;
    const { bytes, digest } = this.#checks;
    if (this.#received !== bytes) throw lengthMismatch(bytes);
    if (digest !== undefined && !areEqual(digest.hash.digest(), digest.sha256)) throw digestMismatch();
  }
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
