/** Two line ends end an event. */
const EVENT_END = Buffer.from('\n\n');
const CHANGE = 'event: change\n';

/**
 * The stream of a space, with only those changes that name one id. All other events stay. A process that plays many people could not
 * parse all changes for each of them.
 */
export function thinStream(stream: ReadableStream<Uint8Array>, id: string): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  const name = Buffer.from(JSON.stringify(id));
  let rest: Buffer = Buffer.alloc(0);
  return new ReadableStream({
    async pull(controller) {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        const bytes =
          rest.length === 0
            ? Buffer.from(value.buffer, value.byteOffset, value.length)
            : Buffer.concat([rest, value]);
        const { kept, end } = keepEvents(bytes, name);
        rest = bytes.subarray(end);
        if (kept.length === 0) continue;
        for (const event of kept) controller.enqueue(event);
        return;
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** @returns the kept events, and where the complete events end */
function keepEvents(bytes: Buffer, name: Buffer): { kept: Uint8Array[]; end: number } {
  const kept: Uint8Array[] = [];
  let namedAt = bytes.indexOf(name);
  let start = 0;
  for (;;) {
    const at = bytes.indexOf(EVENT_END, start);
    if (at === -1) return { kept, end: start };
    const end = at + EVENT_END.length;
    // The search is the expensive part, so it runs once for each event that has the name.
    if (namedAt !== -1 && namedAt < start) namedAt = bytes.indexOf(name, start);
    if (bytes.toString('latin1', start, start + CHANGE.length) !== CHANGE)
      kept.push(bytes.subarray(start, end));
    else if (namedAt !== -1 && namedAt < end) kept.push(detach(bytes.subarray(start, end)));
    start = end;
  }
}

/** A change without its `prev`, so that its reader does not miss the changes that were left out. */
function detach(event: Buffer): Uint8Array {
  return Buffer.from(event.toString().replace(/"prev":\d+/, '"prev":0'));
}
