import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from './limits.ts';
import { parseNdjson } from './ndjson.ts';

const encoder = new TextEncoder();

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(source: string | Uint8Array, sizes: readonly number[] = [7]) {
  const bytes = typeof source === 'string' ? encoder.encode(source) : source;
  const lines: [number, unknown][] = [];
  for await (const group of parseNdjson(cut(bytes, sizes)))
    for (const { line, value } of group) lines.push([line, value]);
  return lines;
}

describe('NDJSON', () => {
  it('is read the same, in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(fc.jsonValue(), { nil: undefined })),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        fc.boolean(),
        async (values, sizes, ended) => {
          const texts = values.map((value) => (value === undefined ? '  ' : JSON.stringify(value)));
          const body = texts.join('\r\n') + (ended ? '\n' : '');
          const expected = values.flatMap((value, i) =>
            value === undefined ? [] : [[i + 1, JSON.parse(JSON.stringify(value))]],
          );
          // The generator's values may contain a value that no world can keep: its line is refused.
          const lines = await read(body, sizes).catch(
            (error: { errors: { path: string }[] }) => error.errors,
          );
          if (!lines.some((line) => 'path' in line)) expect(lines).toEqual(expected);
        },
      ),
    );
  });

  it('may have a byte order mark only at its start', async () => {
    expect(await read('\ufeff{"a":1}\n2')).toEqual([
      [1, { a: 1 }],
      [2, 2],
    ]);
    await expect(read('1\n\ufeff2\n')).rejects.toMatchObject({ errors: [{ path: '/2' }] });
  });

  it('is refused with the line and the place in it', async () => {
    const refused = async (source: string | Uint8Array, code: string, path: string) => {
      for (const sizes of [[1], [5], [1_000_000]])
        await expect(read(source, sizes)).rejects.toMatchObject({ code, errors: [{ path }] });
    };
    await refused('1\n\n{"a":\n', 'malformed_json', '/3');
    await refused('1\n{"a":[0,1e400]}\n', 'validation_failed', '/2/a/1');
    await refused('{}\n{}\n{"b":"\\u0000"}', 'validation_failed', '/3/b');
    await refused(Uint8Array.of(0x31, 0x0a, 0x31, 0x0a, 0xff, 0x0a, 0x31), 'malformed_json', '/3');
    await refused(Uint8Array.of(0x31, 0x0a, 0x22, 0xc3), 'malformed_json', '/2');
  });

  it('has lines up to a limit in bytes, with a line end or without', async () => {
    const line = (bytes: number) => JSON.stringify('ü'.repeat((bytes - 2) / 2));
    const { stateLineBytesMax: max } = LIMITS;
    expect(await read(`1\n${line(max)}\n`, [1 << 16])).toHaveLength(2);
    for (const sizes of [[1 << 16], [1 << 22]])
      for (const end of ['\n', ''])
        await expect(read(`1\n${line(max + 2)}${end}`, sizes)).rejects.toMatchObject({
          code: 'body_too_large',
          errors: [{ path: '/2' }],
        });
  });
});
