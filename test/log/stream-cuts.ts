import { createParser } from 'eventsource-parser';
import { expect, it } from 'vitest';
import { pause, startTimer } from '../../src/helpers/time.ts';
import { SpaceChanges } from '../../src/live/space-changes.ts';
import type { SpaceStream } from '../../src/live/space-stream.ts';
import { SpaceStreams } from '../../src/live/space-streams.ts';
import type { RedisClient } from '../../src/redis/client.ts';
import { createLogStore } from '../../src/redis/log.ts';
import { APPEND } from '../../src/redis/scripts.ts';
import { createStreamPlaces } from '../../src/redis/stream-places.ts';
import { isAway } from '../../src/world/errors.ts';
import type { LogEntry } from '../../src/world/operation.ts';
import { copyWorld, type ReplayWorld, replayEntry } from '../../src/world/replay.ts';
import type { Seq } from '../../src/world/types.ts';
import { type LogSpace, NO_LIMITS, useLogs } from '../redis-log.ts';
import type { OpenWay } from '../redis-ways.ts';
import { anyOperation, Chance } from './chance.ts';
import { emptyWorld, showWorld } from './fold.ts';

const HEARTBEAT_MS = 40;
const MINUTES = 5 * 60_000;
/** The index of an argument of append.lua: the channel that it publishes on. */
const CHANNEL_ARGUMENT = 2;

/** Makes random writes, and remembers them: this is the log as it must be. */
class Writer {
  readonly entries: LogEntry[] = [];
  readonly world: ReplayWorld = emptyWorld();
  lost = 0;
  trims = 0;
  readonly #space: LogSpace;
  readonly #redis: RedisClient;
  readonly #chance: Chance;
  #losesNext = false;
  #log: ReturnType<typeof createLogStore>;

  constructor(space: LogSpace, redis: RedisClient, chance: Chance) {
    this.#space = space;
    this.#redis = redis;
    this.#chance = chance;
    // Sometimes an appended entry is not published.
    this.#log = createLogStore({
      ...redis,
      eval: (script, keys, args) => {
        const isLost = script === APPEND && this.#losesNext;
        return redis.eval(script, keys, isLost ? args.with(CHANNEL_ARGUMENT, 'nobody hears this') : args);
      },
    });
  }

  get last(): Seq {
    return this.entries.at(-1)?.seq ?? this.#space.opened.cursor;
  }

  async write(): Promise<void> {
    const chance = this.#chance;
    const seqs = this.entries.slice(-5).map(({ seq }) => seq);
    const lists = Array.from({ length: 1 + chance.below(3) }, () =>
      Array.from({ length: 1 + chance.below(3) }, () => anyOperation(chance, seqs)),
    );
    const actor = chance.pick([null, 'ann', 'mia']);
    this.#losesNext = chance.is(0.1);
    if (this.#losesNext) this.lost++;
    const appended = await this.#log.append(this.#space.address, {
      entries: lists.map((ops) => ({ ops: JSON.stringify(ops), count: ops.length })),
      actor,
      waits: false,
      idempotency: null,
      budget: null,
      backlog: NO_LIMITS,
      opened: null,
    });
    if (appended.status !== 'appended') throw new Error(`it was refused: ${appended.status}`);
    for (const [i, ops] of lists.entries()) {
      const entry = {
        seq: appended.firstSeq + i,
        prev: this.last,
        actor,
        ops: structuredClone(ops),
        waits: false,
      };
      this.entries.push(entry);
      replayEntry(this.world, structuredClone(entry));
    }
    if (!chance.is(0.01)) return;
    this.trims++;
    await this.#redis.command('XTRIM', this.#space.keys.log, 'MAXLEN', String(chance.below(3)));
  }
}

/** Follows like a client: from the last event that it saw, or from the state again after a reset. */
class Follower {
  world = emptyWorld();
  /** The seq of its world. */
  worldSeq: Seq;
  /** The id of the last event; null before the first. */
  lastEventId: Seq | null = null;
  /** The seq that the next change must name as its previous entry. */
  #expected: Seq;
  gaps = 0;
  duplicates = 0;
  resets = 0;
  changes = 0;
  readonly #writer: Writer;

  constructor(writer: Writer, from: Seq) {
    this.#writer = writer;
    this.worldSeq = from;
    this.#expected = from;
  }

  /** Reads so many pieces, cuts the last one anywhere, and leaves. */
  async read(stream: SpaceStream, pieces: number, chance: Chance): Promise<void> {
    const parser = createParser({ onEvent: (event) => this.#handle(event) });
    const decoder = new TextDecoder();
    for (let i = 1; i <= pieces; i++) {
      const piece = await stream.take();
      if (piece === null) throw new Error('the stream ended');
      const isLast = i === pieces;
      const arrived = isLast ? piece.subarray(0, chance.below(piece.length + 1)) : piece;
      parser.feed(decoder.decode(arrived, { stream: true }));
    }
  }

  #handle({ event, data }: { event?: string | undefined; data: string }): void {
    const { seq, ...rest } = JSON.parse(data) as LogEntry;
    if (event === 'reset') {
      this.resets++;
      // The current state has that seq or a later one.
      this.world = copyWorld(this.#writer.world);
      this.worldSeq = this.#writer.last;
    } else {
      this.changes++;
      if (seq <= this.#expected) this.duplicates++;
      else if (rest.prev !== this.#expected) this.gaps++;
      if (seq > this.worldSeq) {
        replayEntry(this.world, { seq, ...rest });
        this.worldSeq = seq;
      }
    }
    this.#expected = seq;
    this.lastEventId = seq;
  }
}

/** Tests one subscriber of a space that is cut off many times. */
export function describeStreamCuts(openWay: OpenWay, cutsMax: number): void {
  const { openSpace, redis, way } = useLogs(openWay);

  it(
    `[R1] a follower that is cut off ${cutsMax} times has the world of the server: no gap, no duplicate`,
    async () => {
      const seed = Date.now() % 2 ** 31;
      const chance = new Chance(seed);
      const space = await openSpace();
      const { address, log, opened } = space;
      const live = way().openLive();
      const known = { ...opened, isLogOpen: true };
      const streams = new SpaceStreams(
        new SpaceChanges(log, { loadCursor: async () => known }),
        { changes: log, live, places: createStreamPlaces(redis()) },
        {
          clock: { now: Date.now, after: startTimer },
          heartbeatMs: HEARTBEAT_MS,
          presence: null,
          createId: () => crypto.randomUUID(),
          remembers: false,
          onEvent: ({ event, cause }) => {
            throw new Error(event, { cause });
          },
        },
      );
      const writer = new Writer(space, redis(), new Chance(seed + 1));
      const follower = new Follower(writer, opened.cursor);
      const released: Promise<unknown>[] = [];
      const openOnce = () =>
        streams.open({
          ...address,
          principal: { kind: 'key' as const, id: 'k' },
          isAllowed: async () => true,
          from: { seq: follower.lastEventId ?? opened.cursor, isExact: true },
          defer: (work) => void released.push(work),
        });
      const open = async (): Promise<SpaceStream> => {
        try {
          return await openOnce();
        } catch (error) {
          // Just after a cut. A client would also retry.
          if (!isAway(error)) throw error;
          await pause(10);
          return open();
        }
      };
      let isWriting = true;
      const write = async () => {
        while (isWriting) await writer.write();
      };
      const writing = write();
      try {
        for (let cuts = 0; cuts < cutsMax; cuts++) {
          const stream = await open();
          await follower.read(stream, 1 + chance.below(4), chance);
          stream.end('gone');
          // Cuts the subscription of the process, not the client.
          if (chance.is(0.01)) {
            const cut = await open();
            way().cutLive();
            way().mendLive();
            await follower.read(cut, 2, chance);
            cut.end('gone');
          }
        }
        isWriting = false;
        await writing;
        const stream = await open();
        for (;;) {
          if (follower.lastEventId === writer.last) break;
          // Reads each piece to its end.
          await follower.read(stream, 1, { below: (max: number) => max - 1 } as Chance);
        }
        stream.end('gone');
      } finally {
        isWriting = false;
        await writing.catch(() => undefined);
        await Promise.allSettled(released);
        live.close();
      }
      const { gaps, duplicates } = follower;
      expect({ seed, gaps, duplicates, ...showWorld(follower.world) }).toEqual({
        seed,
        gaps: 0,
        duplicates: 0,
        ...showWorld(writer.world),
      });
      expect(follower.worldSeq).toBe(writer.last);
      // The test is only valid if enough of these cases happened.
      expect(writer.lost).toBeGreaterThan(cutsMax / 50);
      expect(follower.changes).toBeGreaterThan(cutsMax / 2);
      if (cutsMax >= 200) expect([writer.trims > 0, follower.resets > 0]).toEqual([true, true]);
    },
    MINUTES,
  );
}
