/** A stream that tells its length to the runtime, and passes chunks on. It fails if the length is wrong. */
export type FixedLengthStreamClass = new (
  bytes: number,
) => { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> };

/** @returns null outside of Workers. Only Workers have this class, and need it. */
export function findFixedLengthStream(): FixedLengthStreamClass | null {
  return (globalThis as { FixedLengthStream?: FixedLengthStreamClass }).FixedLengthStream ?? null;
}
