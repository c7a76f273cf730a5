import { describe, expect, it } from 'vitest';
import { StreamOutput } from './stream-output.ts';

const read = (piece: Uint8Array | null) => piece && new TextDecoder().decode(piece);

describe('[R2a] what waits for a reader', () => {
  it('is taken in one piece, and waited for where there is nothing', async () => {
    const output = new StreamOutput(100);
    output.write('a');
    output.write('ü');
    expect(read(await output.take())).toBe('aü');
    const next = output.take();
    output.write('b');
    expect(read(await next)).toBe('b');
    const last = output.take();
    output.end(true);
    expect(await last).toBeNull();
  });

  it('is never more than may wait, in bytes', async () => {
    const output = new StreamOutput(4);
    expect([output.write('üü'), output.write('a')]).toEqual([true, false]);
    expect(read(await output.take())).toBe('üü');
    expect(output.write('abcd')).toBe(true);
  });

  it('may still be taken at the end, or goes with it', async () => {
    for (const keepsRest of [true, false]) {
      const output = new StreamOutput(4);
      output.write('a');
      output.end(keepsRest);
      expect(read(await output.take())).toBe(keepsRest ? 'a' : null);
      expect(await output.take()).toBeNull();
    }
  });

  it('is drained when it was taken, or will not be', async () => {
    const output = new StreamOutput(4);
    await output.drained();
    output.write('a');
    const drained = output.drained();
    await output.take();
    await drained;
    output.write('b');
    const ended = output.drained();
    output.end(false);
    await ended;
  });

  it('is stalled when something has waited since the last look, and nothing was taken', async () => {
    const output = new StreamOutput(4);
    expect(output.isStalled()).toBe(false);
    output.write('a');
    expect(output.isStalled()).toBe(true);
    await output.take();
    expect(output.isStalled()).toBe(false);
    void output.take();
    output.write('b');
    await Promise.resolve();
    expect(output.isStalled()).toBe(false);
  });
});
