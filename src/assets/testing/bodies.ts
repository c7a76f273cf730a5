const MIB = 1024 * 1024;

/** Bytes that differ at every place of a test, and are the same in every run. */
export function makeBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

export interface TestBody {
  stream: ReadableStream<Uint8Array>;
  /** Bytes that were read from it so far. */
  readonly produced: number;
  /** Whether its reader cancelled it. */
  readonly isCancelled: boolean;
}

/**
 * A body in chunks, which produces a chunk only when it is asked for one.
 * @param failure the error instead of an end
 * @param onPull runs before each chunk
 */
export function makeBody(
  chunks: Iterable<Uint8Array>,
  { failure, onPull }: { failure?: Error; onPull?: () => void } = {},
): TestBody {
  const iterator = chunks[Symbol.iterator]();
  let produced = 0;
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        onPull?.();
        const { done, value } = iterator.next();
        if (!done) {
          produced += value.byteLength;
          controller.enqueue(value);
        } else if (failure === undefined) controller.close();
        else controller.error(failure);
      },
      cancel() {
        isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return {
    stream,
    get produced() {
      return produced;
    },
    get isCancelled() {
      return isCancelled;
    },
  };
}

/** Chunks of odd lengths, from 1 byte to 128 KiB. */
export function* splitOddly(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0, size = 1; at < bytes.length; size = (size * 7 + 3) % (MIB / 8)) {
    yield bytes.slice(at, at + size);
    at += size;
  }
}

/** Equal chunks, each made when it is needed. */
export function* repeatChunk(chunkBytes: number, count: number): Generator<Uint8Array> {
  for (let i = 0; i < count; i++) yield new Uint8Array(chunkBytes).fill(i);
}

export async function readAll(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function hash(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes)));
}
