import { toHex } from '../helpers/bytes.ts';
import type { FileInspector, Inspected } from './file-inspector.ts';

/** A SHA-256 that is computed while the bytes come in. */
export interface StreamingHash {
  update(chunk: Uint8Array): void | Promise<void>;
  /** 32 bytes. */
  digest(): Promise<Uint8Array>;
}

/** The bytes of a file on their way to the bucket: inspected and hashed, one chunk at a time. */
export class InspectedBody {
  /** Fails with the error of the inspector or of the source. */
  readonly stream: ReadableStream<Uint8Array>;
  readonly #inspector: FileInspector;
  readonly #hash: StreamingHash;

  constructor(source: ReadableStream<Uint8Array>, inspector: FileInspector, hash: StreamingHash) {
    this.#inspector = inspector;
    this.#hash = hash;
    const reader = source.getReader();
    this.stream = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const { done, value } = await reader.read();
            if (done) {
              controller.close();
              return;
            }
            inspector.push(value);
            await hash.update(value);
            controller.enqueue(value);
          } catch (error) {
            controller.error(error);
            await reader.cancel(error).catch(() => undefined);
          }
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }

  /** Reads the body without storing it. */
  async discard(): Promise<void> {
    const reader = this.stream.getReader();
    for (let isDone = false; !isDone; ) isDone = (await reader.read()).done;
  }

  /** After the end of the stream. @throws invalid_file */
  async finish(): Promise<Inspected & { sha256: string }> {
    const inspected = this.#inspector.finish();
    return { ...inspected, sha256: toHex(await this.#hash.digest()) };
  }
}
