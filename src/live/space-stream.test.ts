import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import type { RawEntry } from '../log/log-stores.ts';
import { toChange } from '../world/change.ts';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { ChangesOutcome, LiveHandlers, StreamPlaces } from './live-stores.ts';
import { SpaceChanges } from './space-changes.ts';
import type { SpaceStream } from './space-stream.ts';
import { type OpenStreamRequest, SpaceStreams, type StreamEvent } from './space-streams.ts';

const ADDRESS = { tenantId: 't', spaceId: 'main' };
const HEARTBEAT_MS = 20_000;
const away = () => new AppError('store_unavailable', 'away');
const STAGE = '[{"op":"stage","id":"s","mode":"replace"}]';

/** A log, what is published of it, and places, in memory: each may be away, and lose what it likes. */
function makeDeps() {
  const clock = new ManualClock();
  const state = {
    incarnation: 'one',
    last: 100,
    committed: 100,
    entries: [] as RawEntry[],
    reads: 0,
    status: 'read' as 'read' | 'cold' | 'deleted',
    isAway: false,
    isAllowed: async () => true,
    cursor: 100,
  };
  const live = { isAway: false };
  const subscribers = new Set<LiveHandlers & { incarnation: string }>();
  const taken: string[] = [];
  const released: string[] = [];
  const told: StreamEvent[] = [];
  const presence: string[] = [];
  const changes = {
    async readChanges(_: object, { after }: { after: number | null }): Promise<ChangesOutcome> {
      state.reads++;
      if (state.isAway) throw away();
      const { incarnation, last, committed, status } = state;
      if (status === 'cold') return { status };
      if (status === 'deleted') return { status, incarnation };
      const entries = after === null ? [] : state.entries.filter(({ seq }) => seq > after).slice(0, 3);
      return { status, incarnation, last, committed, entries };
    },
  };
  const places: StreamPlaces = {
    take: async ({ principal }) => {
      if (state.isAway) throw away();
      taken.push(principal);
      return 'taken';
    },
    release: async ({ principal }) => void released.push(principal),
  };
  const streams = new SpaceStreams(
    new SpaceChanges(changes, {
      loadCursor: async () => ({
        incarnation: state.incarnation,
        incarnationSeq: 1,
        cursor: state.cursor,
        isLogOpen: true,
      }),
    }),
    {
      changes,
      places,
      live: {
        async subscribe(_, incarnation, handlers) {
          if (state.isAway || live.isAway) throw away();
          const subscriber = { ...handlers, incarnation };
          subscribers.add(subscriber);
          return { close: () => void subscribers.delete(subscriber) };
        },
      },
    },
    {
      clock,
      heartbeatMs: HEARTBEAT_MS,
      createId: () => 'id',
      remembers: true,
      onEvent: (what) => void told.push(what),
      presence: {
        touch: async ({ sessionId, userId }) => void presence.push(`touch ${sessionId} ${userId}`),
        sweep: async ({ spaceId }) => void presence.push(`sweep ${spaceId}`),
      },
    },
  );

  /** Appends, and publishes unless it is lost. */
  function append({ isLost = false, ops = '[]', prev = state.last } = {}): number {
    const seq = Math.max(state.last, prev) + 10;
    const entry = { seq, prev, actor: null, ops, count: 1, waits: false };
    state.entries.push(entry);
    state.last = seq;
    if (!isLost) publish(toChange(entry).text);
    return seq;
  }
  function publish(text: string): void {
    for (const { incarnation, onMessage } of [...subscribers])
      if (incarnation === state.incarnation) onMessage(text);
  }
  async function open(request: Partial<OpenStreamRequest> = {}) {
    const stream = await streams.open({
      ...ADDRESS,
      principal: { kind: 'key', id: 'k' },
      from: null,
      isAllowed: () => state.isAllowed(),
      defer: () => undefined,
      ...request,
    });
    return { stream, ...read(stream) };
  }
  return { clock, state, live, subscribers, taken, released, told, presence, streams, append, publish, open };
}

/** Reads a stream to its end: its events as `kind seq`, with their id or, of commits, their data. */
function read(stream: SpaceStream) {
  const events: string[] = [];
  const run = async () => {
    const decoder = new TextDecoder();
    for (;;) {
      const piece = await stream.take();
      if (piece === null) return;
      const found = decoder
        .decode(piece)
        .matchAll(/event: (\w+)\n(?:id: (\d+)\n)?(?:data: \{"seq":(\d+)\}\n\n)?/g);
      for (const [, kind, id, seq = ''] of found) events.push(`${kind} ${id ?? seq}`.trim());
    }
  };
  return { events, ended: run() };
}

describe('[R1] a stream', () => {
  it('begins now, or after the last seen entry', async () => {
    const { append, open } = makeDeps();
    const first = append();
    const [live, resumed] = [await open(), await open({ from: { seq: 100, isExact: true } })];
    const second = append();
    await expect.poll(() => live.events).toEqual([`change ${second}`]);
    await expect.poll(() => resumed.events).toEqual([`change ${first}`, `change ${second}`]);
  });

  it('passes over what it hears twice, and reads what it did not hear', async () => {
    const { append, open, publish, state } = makeDeps();
    const { events } = await open();
    await expect.poll(() => state.reads).toBe(2);
    const first = append();
    publish(toChange({ seq: first, prev: 100, actor: null, ops: '[]' }).text);
    const lost = Array.from({ length: 7 }, () => append({ isLost: true }));
    const last = append();
    await expect.poll(() => events).toEqual([first, ...lost, last].map((seq) => `change ${seq}`));
    // Eight entries, three a read.
    expect(state.reads).toBe(2 + 3);
  });

  it('finds at a heartbeat what it did not hear, and asks to hear again where it heard nothing', async () => {
    const { append, open, clock, subscribers, state } = makeDeps();
    const { events } = await open();
    await expect.poll(() => state.reads).toBe(2);
    const [deaf] = subscribers;
    const lost = append({ isLost: true });
    await clock.pass(HEARTBEAT_MS);
    await expect.poll(() => events).toEqual([`change ${lost}`]);
    await clock.pass(1_000);
    // Of the set's type or not, it is looked for.
    await expect.poll(() => subscribers.size === 1 && !subscribers.has(deaf as never)).toBe(true);
    const next = append();
    await expect.poll(() => events).toEqual([`change ${lost}`, `change ${next}`]);
  });

  it.each([
    ['is older than the log', 50, true],
    ['is of no log, by where it ends', 900, false],
    ['was an entry that the log has no more', 105, true],
  ])('resets where the cursor %s', async (_, seq, isExact) => {
    const { append, open, state } = makeDeps();
    append();
    append();
    if (seq === 50) state.entries.shift();
    const { events } = await open({ from: { seq, isExact } });
    await expect.poll(() => events).toEqual([`reset ${state.last}`]);
    const next = append();
    await expect.poll(() => events).toEqual([`reset ${next - 10}`, `change ${next}`]);
  });

  it('begins in between where it is asked to', async () => {
    const { append, open } = makeDeps();
    append();
    const second = append();
    const { events } = await open({ from: { seq: 112, isExact: false } });
    await expect.poll(() => events).toEqual([`change ${second}`]);
  });

  it('resets if the log continues below the last sent entry: entries were lost', async () => {
    const { append, open, state } = makeDeps();
    const { events } = await open();
    const told = append();
    await expect.poll(() => events).toEqual([`change ${told}`]);
    state.entries = [];
    state.last = 103;
    append({ isLost: true });
    const next = append();
    await expect.poll(() => events).toEqual([`change ${told}`, `reset ${next}`]);
  });

  it('resets at an entry by which the world is replaced, and goes on behind it', async () => {
    const { append, open } = makeDeps();
    const { events } = await open({ from: { seq: 100, isExact: true } });
    const [before, stage, behind] = [append(), append({ ops: STAGE }), append({ isLost: true })];
    const last = append();
    await expect
      .poll(() => events)
      .toEqual([`change ${before}`, `reset ${stage}`, `change ${behind}`, `change ${last}`]);
  });

  it('resets where the space was made again, and hears of that one', async () => {
    const { append, open, state, clock, subscribers } = makeDeps();
    const { events } = await open();
    Object.assign(state, { incarnation: 'two', last: 500, entries: [] });
    await clock.pass(HEARTBEAT_MS);
    await expect.poll(() => events).toEqual(['reset 500']);
    await clock.pass(1_000);
    await expect.poll(() => [...subscribers].map(({ incarnation }) => incarnation)).toEqual(['two']);
    const next = append();
    await expect.poll(() => events).toEqual(['reset 500', `change ${next}`]);
  });

  it('of a space that Redis does not know begins where Postgres is', async () => {
    const { append, open, state } = makeDeps();
    state.status = 'cold';
    const [live, known, other] = [
      await open(),
      await open({ from: { seq: 100, isExact: true } }),
      await open({ from: { seq: 99, isExact: true } }),
    ];
    state.status = 'read';
    const first = append();
    await expect.poll(() => live.events).toEqual([`change ${first}`]);
    await expect.poll(() => known.events).toEqual([`change ${first}`]);
    await expect.poll(() => other.events).toEqual(['reset 100', `change ${first}`]);
  });

  it('is subscribed again where the subscription was lost, as often as it takes', async () => {
    const { append, open, state, clock, subscribers } = makeDeps();
    const { events } = await open();
    const [lost] = subscribers;
    subscribers.clear();
    state.isAway = true;
    lost?.onEnd();
    const missed = append();
    await clock.pass(8_000);
    expect(subscribers.size).toBe(0);
    state.isAway = false;
    await clock.pass(6_000);
    await expect.poll(() => events).toEqual([`change ${missed}`]);
    const next = append();
    await expect.poll(() => events).toEqual([`change ${missed}`, `change ${next}`]);
    expect(subscribers.size).toBe(1);
  });

  it('tells of presence while it catches up', async () => {
    const { open, publish } = makeDeps();
    const { events } = await open();
    publish('{"presence":{"left":"ann"}}');
    publish('{"what a later version says":1}');
    await expect.poll(() => events).toEqual(['presence']);
  });
});

describe('a stream that asked for commits', () => {
  const committed = (seq: number) => `{"committed":${seq}}`;

  it('[R1h] gets each committed seq, and no other stream does', async () => {
    const { append, open, publish } = makeDeps();
    const [asked, refused, other] = [
      await open({ sendsCommitted: true }),
      await open({ sendsCommitted: false }),
      await open(),
    ];
    await expect.poll(() => asked.events).toEqual(['committed 100']);
    const first = append();
    publish(committed(first));
    const second = append();
    await expect
      .poll(() => asked.events)
      .toEqual(['committed 100', `change ${first}`, `committed ${first}`, `change ${second}`]);
    for (const { events } of [refused, other])
      await expect.poll(() => events).toEqual([`change ${first}`, `change ${second}`]);
  });

  it('[R1h] gets no seq twice and none that is lower than an earlier one', async () => {
    const { append, open, publish, clock, state } = makeDeps();
    const { events } = await open({ sendsCommitted: true });
    await expect.poll(() => events).toEqual(['committed 100']);
    const seq = append();
    for (const heard of [seq, seq - 5, seq, 100]) publish(committed(heard));
    // Redis came back older.
    state.committed = 90;
    await clock.pass(HEARTBEAT_MS);
    const next = append();
    await expect
      .poll(() => events)
      .toEqual(['committed 100', `change ${seq}`, `committed ${seq}`, `change ${next}`]);
  });

  it('[R1i] gets it after the change, also if the change was not heard', async () => {
    const { append, open, publish } = makeDeps();
    const { events } = await open({ sendsCommitted: true });
    await expect.poll(() => events).toEqual(['committed 100']);
    publish(committed(110));
    const first = append();
    const second = append({ isLost: true });
    publish(committed(second));
    const third = append();
    await expect
      .poll(() => events)
      .toEqual([
        'committed 100',
        `change ${first}`,
        `committed ${first}`,
        `change ${second}`,
        `committed ${second}`,
        `change ${third}`,
      ]);
  });

  it('[R1i] gets it after the changes that it catches up with, or after their reset', async () => {
    const { append, open, state } = makeDeps();
    const seqs = Array.from({ length: 7 }, () => append());
    state.committed = seqs[4] ?? 0;
    const { events } = await open({ sendsCommitted: true, from: { seq: 100, isExact: true } });
    await expect
      .poll(() => events)
      .toEqual(
        [...seqs.slice(0, 5), null, ...seqs.slice(5)].map((seq) =>
          seq === null ? `committed ${state.committed}` : `change ${seq}`,
        ),
      );
    const ahead = await open({ sendsCommitted: true, from: { seq: 900, isExact: true } });
    await expect.poll(() => ahead.events).toEqual(['reset 170', 'committed 150']);
  });

  it('[R1i] continues with the commits of a space that was made again', async () => {
    const { open, publish, state, clock } = makeDeps();
    const { events } = await open({ sendsCommitted: true });
    await expect.poll(() => events).toEqual(['committed 100']);
    // The change of this seq never comes.
    publish(committed(300));
    Object.assign(state, { incarnation: 'two', last: 500, committed: 200, entries: [] });
    await clock.pass(HEARTBEAT_MS);
    await expect.poll(() => events).toEqual(['committed 100', 'reset 500', 'committed 200']);
  });

  it('[R1j] gets it at a heartbeat if the message was lost', async () => {
    const { append, open, clock, state } = makeDeps();
    const { events } = await open({ sendsCommitted: true });
    await expect.poll(() => events).toEqual(['committed 100']);
    const seq = append();
    await expect.poll(() => events).toEqual(['committed 100', `change ${seq}`]);
    state.committed = seq;
    await clock.pass(HEARTBEAT_MS);
    await expect.poll(() => events).toEqual(['committed 100', `change ${seq}`, `committed ${seq}`]);
    await clock.pass(HEARTBEAT_MS);
    expect(events).toHaveLength(3);
  });

  it('[R1j] gets the cursor of Postgres when it opens and Redis does not know the space', async () => {
    const { open, state } = makeDeps();
    state.status = 'cold';
    const { events } = await open({ sendsCommitted: true, from: { seq: 99, isExact: true } });
    await expect.poll(() => events).toEqual(['reset 100', 'committed 100']);
  });
});

describe('[R2] a stream', () => {
  it('[R3a] holds its place, and says at its opening and at each heartbeat that its session is there', async () => {
    const { open, clock, taken, presence } = makeDeps();
    await open({ principal: { kind: 'session', id: 's1', userId: 'ann' } });
    await open();
    expect(presence).toEqual(['touch s1 ann']);
    await clock.pass(HEARTBEAT_MS);
    await expect.poll(() => taken).toEqual(['s:s1', 'k:k', 's:s1', 'k:k']);
    expect(presence.toSorted()).toEqual(['sweep main', 'sweep main', 'touch s1 ann', 'touch s1 ann']);
  });

  it('ends when its credential does, and holds nothing any more', async () => {
    const { open, clock, state, released, subscribers, presence } = makeDeps();
    const { ended } = await open();
    state.isAllowed = async () => false;
    await clock.pass(HEARTBEAT_MS);
    await ended;
    expect([released, subscribers.size, clock.size, presence]).toEqual([['k:k'], 0, 0, []]);
  });

  it('goes on for a while where nobody can tell whether its credential is good', async () => {
    const { open, clock, state, released } = makeDeps();
    const { ended } = await open();
    state.isAllowed = async () => {
      throw away();
    };
    await clock.pass(LIMITS.credentialStaleMsMax - HEARTBEAT_MS);
    expect(released).toEqual([]);
    await clock.pass(2 * HEARTBEAT_MS);
    await ended;
    expect(released).toEqual(['k:k']);
  });

  it('goes on while Redis is away, and then as if nothing had been', async () => {
    const { open, clock, state, append, released } = makeDeps();
    const { events } = await open();
    state.isAway = true;
    const missed = append({ isLost: true });
    await clock.pass(5 * HEARTBEAT_MS);
    expect(released).toEqual([]);
    state.isAway = false;
    await clock.pass(HEARTBEAT_MS);
    await expect.poll(() => events).toEqual([`change ${missed}`]);
  });

  it('is dropped where more waits for its reader than may', async () => {
    const { streams, append, state, released, told } = makeDeps();
    const stream = await streams.open({
      ...ADDRESS,
      principal: { kind: 'key', id: 'k' },
      from: null,
      defer: () => undefined,
      isAllowed: async () => true,
    });
    const ops = `[{"op":"put","id":"a","name":"${'x'.repeat(200_000)}"}]`;
    // Caught up: from here on it is told what it hears.
    await stream.take();
    await expect.poll(() => state.reads).toBe(2);
    await Promise.resolve();
    for (let i = 0; i < 20; i++) append({ ops });
    expect(released).toEqual([]);
    append({ ops });
    await expect.poll(() => released).toEqual(['k:k']);
    expect(await stream.take()).toBeNull();
    expect(told).toMatchObject([{ event: 'stream_dropped' }]);
  });

  it('limits the messages that it keeps while it catches up: the log has them too', async () => {
    const { streams, append, publish, state } = makeDeps();
    const stream = await streams.open({
      ...ADDRESS,
      principal: { kind: 'key', id: 'k' },
      from: null,
      defer: () => undefined,
      isAllowed: async () => true,
    });
    const ops = `[{"op":"put","id":"a","name":"${'x'.repeat(200_000)}"}]`;
    const entries = Array.from({ length: 21 }, (_, i) => ({
      seq: 110 + 10 * i,
      prev: 100 + 10 * i,
      actor: null,
      ops,
      count: 1,
      waits: false,
    }));
    // It waits for its reader, and the log does not have them yet.
    for (const entry of entries) publish(toChange(entry).text);
    const { events } = read(stream);
    await expect.poll(() => state.reads).toBeGreaterThan(1);
    await Promise.resolve();
    expect(events).toEqual([]);
    state.entries.push(...entries);
    state.last = entries.at(-1)?.seq ?? 0;
    const last = append();
    await expect.poll(() => events).toEqual([...entries, { seq: last }].map(({ seq }) => `change ${seq}`));
  });

  it('is dropped where its reader takes nothing from one heartbeat to the next', async () => {
    const { streams, released, clock } = makeDeps();
    const stream = await streams.open({
      ...ADDRESS,
      principal: { kind: 'key', id: 'k' },
      from: null,
      defer: () => undefined,
      isAllowed: async () => true,
    });
    await stream.take();
    await clock.pass(HEARTBEAT_MS);
    expect(released).toEqual([]);
    await clock.pass(HEARTBEAT_MS);
    expect(released).toEqual(['k:k']);
  });

  it('gives its place back where it cannot be opened', async () => {
    const { open, state, live, released, clock } = makeDeps();
    live.isAway = true;
    await expect(open()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect([released, clock.size]).toEqual([['k:k'], 0]);
    state.status = 'deleted';
    await expect(open()).rejects.toMatchObject({ code: 'not_found' });
    expect(released).toHaveLength(1);
  });

  it('ends when the server does, which opens no other', async () => {
    const { open, streams, released, clock } = makeDeps();
    const { ended } = await open();
    streams.endAll();
    await ended;
    expect([released, clock.size]).toEqual([['k:k'], 0]);
    await expect(open()).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('ends immediately when its space is deleted', async () => {
    const { open, publish, released } = makeDeps();
    const { ended } = await open();
    publish('{"retired":true}');
    await ended;
    expect(released).toEqual(['k:k']);
  });
});
