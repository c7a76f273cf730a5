import { describe, expect, it } from 'vitest';
import { AppError } from '../world/errors.ts';
import { type MemoryEvent, MemoryFallback } from './memory-fallback.ts';
import type { SpilledRequest } from './spill-store.ts';

const AWAY = new AppError('store_unavailable', 'Postgres does not answer now.');

function makeRequest(key: string, ops = '[]'): SpilledRequest {
  return {
    actor: null,
    principal: 'p',
    key,
    messageIds: [],
    fingerprint: '',
    entries: [{ ops, count: 1 }],
    postedIds: [],
  };
}

/** A memory over a Postgres that `answer` decides about. Its clock moves with its pauses. */
function openMemory(answer: (key: string) => void = () => undefined) {
  let nowMs = 0;
  const told: MemoryEvent[] = [];
  const stored: { key: string; keySeconds: number | null }[] = [];
  const deferred: Promise<unknown>[] = [];
  const memory = new MemoryFallback(
    {
      async keep(_, { key }, { keySeconds }) {
        answer(key);
        stored.push({ key, keySeconds });
        return [];
      },
    },
    {
      now: () => nowMs,
      pause: async (ms) => {
        nowMs += ms;
      },
      limits: { bytesMax: 100, requestsMax: 3 },
      findIncarnation: ({ spaceId }) => (spaceId === 's' ? 'i1' : null),
      onEvent: (event) => void told.push(event),
    },
  );
  const keep = (
    key: string,
    { keySeconds = null as number | null, ops = '[]', spaceId = 's', tenantId = 't', fingerprint = '' } = {},
  ) =>
    memory.keep(
      { tenantId, spaceId },
      { ...makeRequest(key, ops), fingerprint },
      {
        keySeconds,
        outage: AWAY,
        defer: (work) => void deferred.push(work),
      },
    );
  return { memory, keep, stored, told, settle: () => Promise.all(deferred.splice(0)) };
}

describe('[F4] requests in the memory of a server', () => {
  it('go to Postgres in their order, as soon as it answers', async () => {
    let failures = 3;
    const { memory, keep, stored, settle } = openMemory(() => {
      if (failures-- > 0) throw AWAY;
    });
    for (const key of ['a', 'b', 'c']) keep(key);
    await settle();
    expect(stored.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
    expect(memory.size).toBe(0);
  });

  it('are there once, however often a caller repeats one', async () => {
    const { memory, keep } = openMemory(() => {
      throw AWAY;
    });
    for (let i = 0; i < 5; i++) keep('a');
    expect(memory.size).toBe(1);
    expect(() => keep('a', { fingerprint: 'another body' })).toThrow('was used before with another body');
    // The same names in another tenant are another request.
    keep('a', { tenantId: 'other' });
    expect(memory.size).toBe(2);
    await memory.end();
  });

  it.each([
    ['requests', ['[]', '[]', '[]', '[]'], 3],
    ['bytes', [`[${' '.repeat(60)}]`, `[${' '.repeat(60)}]`], 1],
  ])('have a limit of %s', async (_, texts, fit) => {
    const { memory, keep } = openMemory(() => {
      throw AWAY;
    });
    for (const [i, ops] of texts.slice(0, fit).entries()) keep(`${i}`, { ops });
    expect(() => keep('above', { ops: texts.at(-1) ?? '' })).toThrow('the memory for writes is full');
    expect(memory.size).toBe(fit);
    await memory.end();
  });

  it('are refused for a space that the process does not know', () => {
    const { memory, keep } = openMemory();
    expect(() => keep('a', { spaceId: 'unknown' })).toThrow(AWAY);
    expect(memory.size).toBe(0);
  });

  it('are known to Redis for less time than when they came', async () => {
    let failures = 5;
    const { keep, stored, settle } = openMemory(() => {
      if (failures-- > 0) throw AWAY;
    });
    keep('a', { keySeconds: 300 });
    await settle();
    // 0.25 + 0.5 + 1 + 2 + 2 + 2 s
    expect(stored).toEqual([{ key: 'a', keySeconds: 292 }]);
  });

  it('are stored once each if the process ends in the middle of a try', async () => {
    const { memory, keep, stored, settle } = openMemory();
    for (const key of ['a', 'b', 'c']) keep(key);
    await Promise.all([settle(), memory.end()]);
    expect([...new Set(stored.map(({ key }) => key))]).toEqual(['a', 'b', 'c']);
    expect(memory.size).toBe(0);
  });

  it('are reported if Postgres refuses them, or if the process ends before it answers', async () => {
    const refusing = openMemory(() => {
      throw new AppError('not_found', 'There is no such space.');
    });
    refusing.keep('a');
    await refusing.settle();
    expect(refusing.told).toMatchObject([{ event: 'memory_refused', count: 1 }]);
    const away = openMemory(() => {
      throw AWAY;
    });
    away.keep('a');
    away.keep('b');
    await away.memory.end();
    expect(away.told).toEqual([{ event: 'memory_lost', count: 2 }]);
  });
});
