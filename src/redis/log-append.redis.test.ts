import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { ENTRY, NO_LIMITS, openSpace as openSpaceOn, useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import type { RedisClient, RedisReply } from './client.ts';
import { createLogStore } from './log.ts';

const HOUR_US = 3_600_000_000;
const KEY = { principal: 'key-1', key: 'k', fingerprint: 'f1', ttlSeconds: 60 };

describe.each(REDIS_WAYS)('append, %s', (_, openWay) => {
  const { redis, way, openSpace, redisUrl } = useLogs(openWay);

  it('[L1b] gives rising seqs, each entry naming the one before it', async () => {
    const space = await openSpace();
    const first = await space.add({
      actor: 'OK',
      entries: [
        { ops: '[1]', count: 1 },
        { ops: '[2,3]', count: 2 },
      ],
    });
    expect(first).toMatchObject({
      accepted: 3,
      isRepeat: false,
      budget: null,
      incarnation: space.opened.incarnation,
    });
    expect(first.firstSeq).toBeGreaterThan((Date.now() - 60_000) * 1_000);
    expect(first.seq).toBe(first.firstSeq + 1);
    const text = '[{"id":"é\\u0000🐎"}]';
    const second = await space.add({ waits: true, entries: [{ ops: text, count: 1 }] });
    expect(second.firstSeq).toBe(second.seq);
    expect(second.seq).toBeGreaterThan(first.seq);
    expect(await space.read()).toEqual({
      status: 'read',
      incarnation: space.opened.incarnation,
      after: 1_000,
      last: second.seq,
      tear: null,
      restartedAt: 0,
      entries: [
        { seq: first.firstSeq, prev: 1_000, actor: 'OK', ops: '[1]', count: 1, waits: false },
        { seq: first.seq, prev: first.firstSeq, actor: 'OK', ops: '[2,3]', count: 2, waits: false },
        { seq: second.seq, prev: first.seq, actor: null, ops: text, count: 1, waits: true },
      ],
    });
  });

  it('[T4e] keeps the id of the request for drains, with and without a waiting caller, and shows it to no follower', async () => {
    const space = await openSpace();
    const entries = [ENTRY];
    await space.add({ actor: 'ann', requestId: 'a_b-c=', entries });
    await space.add({ requestId: 'r2', waits: true, returnsObject: true, entries });
    await space.add({ actor: 'ann', entries });
    const read = await space.read();
    expect('entries' in read && read.entries).toMatchObject([
      { actor: 'ann', requestId: 'a_b-c=', waits: false },
      { actor: null, requestId: 'r2', waits: true, returnsObject: true },
      { actor: 'ann', waits: false },
    ]);
    expect('entries' in read && read.entries[2]).not.toHaveProperty('requestId');
    const page = { after: 1_000, bytesMax: 1e6, entriesMax: 10, seen: { incarnation: '', seq: 0 } };
    const changes = await space.log.readChanges(space.address, page);
    expect('entries' in changes && changes.entries.map(({ actor }) => actor)).toEqual(['ann', null, 'ann']);
    expect(JSON.stringify(changes)).not.toContain('a_b-c=');
  });

  it('[L1e] is one command, except the first of a process to a space', async () => {
    const space = await openSpace();
    let evals = 0;
    const counting: RedisClient = {
      ...redis(),
      eval(...call) {
        evals++;
        return redis().eval(...call);
      },
    };
    const another = createLogStore(counting);
    const request = {
      actor: 'ann',
      entries: [ENTRY, ENTRY],
      waits: true,
      opened: null,
      backlog: NO_LIMITS,
      budget: { principal: 'p', requestsPerMinute: 60, updatesPerMinute: 6_000 },
    };
    await another.append(space.address, { ...request, idempotency: { ...KEY, key: '1' } });
    expect(evals).toBe(2);
    await another.append(space.address, { ...request, idempotency: { ...KEY, key: '2' } });
    await another.append(space.address, { ...request, idempotency: null });
    expect(evals).toBe(4);
  });

  it('[L4g] rises where the clock was set back, and where a cursor or the stream is ahead', async () => {
    const space = await openSpace();
    const ahead = Date.now() * 1_000 + HOUR_US;
    await space.setMeta({ last: ahead });
    expect((await space.add({ entries: [ENTRY, ENTRY] })).firstSeq).toBe(ahead + 1);
    expect((await space.add()).seq).toBe(ahead + 3);
    expect((await space.read()).status).toBe('read');
  });

  it('publishes each entry, as it was sent', async () => {
    const space = await openSpace();
    const subscriber = new Redis(redisUrl());
    try {
      const seen: string[] = [];
      subscriber.on('message', (_channel, message) => void seen.push(message));
      await subscriber.subscribe(space.keys.log.replace(/:log$/, ':live'));
      const { firstSeq, seq } = await space.add({
        actor: 'ann',
        entries: [
          { ops: '[{"x":1e400,"e":[]}]', count: 1 },
          { ops: '[2]', count: 1 },
        ],
      });
      const later = await space.add();
      await expect
        .poll(() => seen)
        .toEqual([
          `{"seq":${firstSeq},"prev":1000,"actor":"ann","ops":[{"x":1e400,"e":[]}]}`,
          `{"seq":${seq},"prev":${firstSeq},"actor":"ann","ops":[2]}`,
          `{"seq":${later.seq},"prev":${seq},"actor":null,"ops":${ENTRY.ops}}`,
        ]);
    } finally {
      subscriber.disconnect();
    }
  });

  it('[L4b] gives a repeat the first answer, takes nothing from its budget and appends nothing', async () => {
    const space = await openSpace();
    const request = {
      idempotency: KEY,
      entries: [ENTRY, ENTRY],
      budget: { principal: 'p', requestsPerMinute: 1, updatesPerMinute: 0 },
    };
    const first = await space.add(request);
    expect(first).toMatchObject({
      isRepeat: false,
      drainAfterMs: 100,
      budget: { requests: { remaining: 0 } },
    });
    const before = await space.dump();
    const repeat = await space.add({ ...request, waits: true });
    expect(repeat).toMatchObject({
      firstSeq: first.firstSeq,
      seq: first.seq,
      accepted: 2,
      isRepeat: true,
      incarnation: first.incarnation,
      drainAfterMs: null,
      budget: { requests: { remaining: 0 } },
    });
    expect(await space.dump()).toEqual(before);
  });

  it('[L4b] gives the first answer where it was lost on the way', async () => {
    const space = await openSpace();
    await space.add();
    way().inject({ kind: 'drop-reply', match: 'lost-key' });
    const request = { idempotency: { ...KEY, key: 'lost-key' } };
    await expect(space.append(request)).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect
      .poll(() => space.append(request).catch(() => null))
      .toMatchObject({ status: 'appended', isRepeat: true });
    const read = await space.read();
    expect(read.status === 'read' && read.entries).toHaveLength(2);
  });

  it('[L4b] keeps an idempotency key apart by principal and by space, and for so long', async () => {
    const space = await openSpace();
    const other = await openSpace({ tenantId: space.address.tenantId });
    expect(await space.append({ idempotency: KEY })).toMatchObject({ isRepeat: false });
    expect(await space.append({ idempotency: { ...KEY, principal: 'key-2' } })).toMatchObject({
      isRepeat: false,
    });
    expect(await space.append({ idempotency: { ...KEY, key: 'k2' } })).toMatchObject({ isRepeat: false });
    expect(await other.append({ idempotency: KEY })).toMatchObject({ isRepeat: false });
    expect(await space.append({ idempotency: KEY })).toMatchObject({ isRepeat: true });
    const ttl = Number(await redis().command('TTL', space.keys.meta.replace(/meta$/, 'idem:key-1!k')));
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(60);
  });

  it('says of a budget what is left, and when there is enough again', async () => {
    const space = await openSpace();
    const request = {
      entries: [{ ops: '[1,2,3]', count: 3 }],
      budget: { principal: 'p', requestsPerMinute: 6, updatesPerMinute: 7 },
    };
    const first = await space.add(request);
    expect(first.budget).toEqual({
      requests: { remaining: 5, resetMs: 10_000 },
      updates: { remaining: 4, resetMs: 25_715 },
    });
    await space.add(request);
    const refused = await space.append(request);
    expect(refused).toMatchObject({ status: 'over_budget', kind: 'updates' });
    if (refused.status !== 'over_budget') return;
    // Two more operations are due 8,571 ms each after the last two were taken.
    expect(refused.retryAfterMs).toBeGreaterThan(10_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(17_143);
    expect(refused.budget.updates.remaining).toBe(1);
    expect((await space.append({ budget: { ...request.budget, principal: 'another' } })).status).toBe(
      'appended',
    );
    const uncounted = { principal: 'q', requestsPerMinute: 0, updatesPerMinute: 0 };
    expect(await space.add({ budget: uncounted })).toMatchObject({ budget: null });
    const onlyRequests = { principal: 'r', requestsPerMinute: 2, updatesPerMinute: 0 };
    expect((await space.add({ budget: onlyRequests })).budget?.updates.remaining).toBe(
      Number.POSITIVE_INFINITY,
    );
    await space.add({ budget: onlyRequests });
    expect(await space.append({ budget: onlyRequests })).toMatchObject({
      status: 'over_budget',
      kind: 'requests',
    });
  });

  it('accepts a request above one minute of budget when the budget is whole, and then owes the rest', async () => {
    const space = await openSpace();
    const budget = { principal: 'p', requestsPerMinute: 0, updatesPerMinute: 10 };
    const dear = await space.add({ budget, entries: [{ ops: '[]', count: 15 }] });
    expect(dear.budget?.updates).toEqual({ remaining: 0, resetMs: 90_000 });
    const refused = await space.append({ budget });
    expect(refused.status === 'over_budget' && refused.retryAfterMs > 30_000).toBe(true);
  });

  it('does not make a budget wait for an hour that the clock was set back', async () => {
    const space = await openSpace();
    const key = space.keys.meta.replace(/meta$/, 'budget:p');
    const future = Date.now() * 1_000 + HOUR_US;
    await redis().command('SET', key, `${future} ${future}`, 'EX', '60');
    const refused = await space.append({
      budget: { principal: 'p', requestsPerMinute: 60, updatesPerMinute: 0 },
    });
    expect(refused.status === 'over_budget' && refused.retryAfterMs <= 61_000).toBe(true);
  });

  const refusals: [name: string, expected: object, request: object, prepare?: object][] = [
    [
      'a key that another request has',
      { status: 'key_reused' },
      { idempotency: { ...KEY, fingerprint: 'f2' } },
    ],
    [
      'a request beyond the budget',
      { status: 'over_budget', kind: 'requests' },
      { budget: { principal: 'p', requestsPerMinute: 1, updatesPerMinute: 0 } },
    ],
    [
      'operations beyond the budget',
      { status: 'over_budget', kind: 'updates' },
      { budget: { principal: 'p', requestsPerMinute: 0, updatesPerMinute: 1 } },
    ],
    [
      '[D7] bytes beyond the backlog',
      { status: 'backlog_full', kind: 'bytes', actual: 2 * ENTRY.ops.length, max: 51 },
      { backlog: { ...NO_LIMITS, bytesMax: 51 } },
    ],
    [
      '[D7] entries beyond the backlog',
      { status: 'backlog_full', kind: 'entries', actual: 2, max: 1 },
      { backlog: { ...NO_LIMITS, entriesMax: 1 } },
    ],
    [
      '[D7] what comes while the oldest waits for too long',
      { status: 'backlog_full', kind: 'age', max: 3_000 },
      { backlog: { ...NO_LIMITS, ageMsMax: 3_000 } },
      { oldest: (Date.now() - 60_000) * 1_000 },
    ],
    ['what comes to a deleted space', { status: 'deleted' }, {}, { deleted: 1 }],
  ];
  it.each(refusals)(
    '[L4a] refuses %s before anything is written',
    async (_name, expected, request, prepare) => {
      const space = await openSpace();
      const budget = { principal: 'p', requestsPerMinute: 1, updatesPerMinute: 1 };
      await space.add({ idempotency: KEY, budget });
      if (prepare !== undefined) await space.setMeta(prepare as Record<string, number>);
      const before = await space.dump();
      // Whatever else is asked of it, so that a check that came after a write would show.
      const ample = { principal: 'q', requestsPerMinute: 9_000, updatesPerMinute: 9_000 };
      const all = { idempotency: { ...KEY, key: 'new' }, budget: ample, waits: true, ...request };
      expect(await space.append(all)).toMatchObject(expected);
      expect(await space.dump()).toEqual(before);
    },
  );

  it.each<[string, RedisReply]>([
    ['nothing', null],
    ['a word', 'OK'],
    ['an empty list', []],
    ['another status', ['done']],
    ['too little', ['appended', '1', '2', 1, 'none', '']],
    ['too much', ['appended', '1', '2', 1, 'none', '', '', 5]],
    ['another drain', ['appended', '1', '2', 1, 'perhaps', '', '']],
    ['a seq that no number holds', ['appended', '1', '9007199254740993', 1, 'none', '', '']],
    ['a seq with an exponent', ['appended', '1', '1.7e+15', 1, 'none', '', '']],
  ])('[L4d] does not take %s for an answer', async (_name, reply) => {
    const space = await openSpaceOn({ ...redis(), eval: async () => reply }, { isOpened: false });
    await expect(space.append()).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('[L5] counts bytes, not characters, and keeps what it never reads', async () => {
    const space = await openSpace();
    const text = '[{"properties":{"a":[],"n":9007199254740993,"é":"🐎"}}]';
    await space.add({ entries: [{ ops: text, count: 1 }] });
    expect(await space.log.readBacklog(space.address)).toMatchObject({
      operations: 1,
      entries: 1,
      bytes: Buffer.byteLength(text),
    });
    expect(await space.read()).toMatchObject({ entries: [{ ops: text }] });
    expect(await createLogStore(redis()).readBacklog({ tenantId: uniqueName('t'), spaceId: 's' })).toEqual({
      operations: 0,
      entries: 0,
      bytes: 0,
      oldestSeq: null,
      last: null,
    });
  });
});
