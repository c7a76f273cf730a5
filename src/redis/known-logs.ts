import { LRUCache } from 'lru-cache';
import type { FindCursor, LogAddress } from '../log/log-stores.ts';
import type { Seq } from '../world/types.ts';
import type { RedisClient } from './client.ts';
import { createLostError } from './errors.ts';
import { DIRTY_SHARDS, dirtyKey, logKey, logMetaKey, metadataKey, snapshotKey, spaceMember } from './keys.ts';
import { TEAR } from './scripts.ts';

export interface KnownLogsOptions {
  /** Null: no log is ever compared with Postgres here. */
  findCursor: FindCursor | null;
  /** Spaces of which a process remembers what it knows. */
  spacesMax: number;
  /** Sorted sets that hold the spaces with pending entries. With another number, spaces in the other sets would not be drained. */
  shards: number;
}

const DEFAULTS: KnownLogsOptions = { findCursor: null, spacesMax: 10_000, shards: DIRTY_SHARDS };

/** The facts about a space's log that one command needs. */
export interface KnownLog {
  /** '' for none. */
  incarnation: string;
  /** The highest seq that the log was at, as far as this process was told; 0 for none. */
  seen: Seq;
  /** The log cannot be compared with Postgres now: it is used as it is. */
  isUnchecked: boolean;
}

/** Why a log is to be broken, as tear.lua has it. */
export type TearReason =
  | { reason: 'run'; cursor: Seq | null }
  | { reason: 'behind' | 'lost' | 'end'; seq: Seq }
  | { reason: 'told'; after: Seq; to: Seq };

interface Remembered {
  incarnation: string;
  /** A log that ends below this has lost its end. */
  seen: Seq;
  /** Where Postgres was seen to be. */
  durable: Seq;
}

const TRIES_MAX = 4;

/**
 * The facts that one process knows about logs. A script must get the names of its keys, and the log's key contains the incarnation.
 * If the known incarnation is old, the script answers the new one, at the price of a second call. A log that ends below a known seq,
 * or below the cursor of Postgres, has lost its end: it gets a break there (see tear.lua).
 */
export class KnownLogs {
  readonly #redis: RedisClient;
  readonly #options: KnownLogsOptions;
  readonly #known: LRUCache<string, Remembered>;

  constructor(redis: RedisClient, options: Partial<KnownLogsOptions> = {}) {
    this.#redis = redis;
    this.#options = { ...DEFAULTS, ...options };
    this.#known = new LRUCache({ max: this.#options.spacesMax });
  }

  /** The incarnation whose log this process last used; null: it has not used one of the space. */
  findIncarnation(address: LogAddress): string | null {
    return this.#known.get(spaceMember(address))?.incarnation ?? null;
  }

  dirtyKey(address: LogAddress): string {
    return dirtyKey(hashText(spaceMember(address)) % this.#options.shards);
  }

  /** Calls with the given incarnation, else with the known one, and again with each that the script names. */
  async call<Outcome extends object>(
    address: LogAddress,
    incarnation: string | undefined,
    call: (
      known: KnownLog,
      isFirst: boolean,
    ) => Promise<Outcome | { movedTo: string } | { isUnverified: true }>,
  ): Promise<Outcome> {
    const member = spaceMember(address);
    let current = incarnation ?? this.#known.get(member)?.incarnation ?? '';
    let [isFirst, isUnchecked] = [true, false];
    for (let tries = 0; tries <= TRIES_MAX; tries++) {
      const outcome = await call(
        { incarnation: current, seen: this.#seen(address, current), isUnchecked },
        isFirst,
      );
      if ('isUnverified' in outcome) {
        isUnchecked = !(await this.#verify(address, current));
        continue;
      }
      if (!('movedTo' in outcome)) {
        this.note(address, current, {});
        return outcome;
      }
      isFirst = false;
      current = outcome.movedTo;
    }
    throw createLostError(new Error('the space is deleted and created again repeatedly'));
  }

  /**
   * Remembers how far a log has come.
   * @param durable where Postgres is
   */
  note(
    address: LogAddress,
    incarnation: string,
    { seen = 0, durable = 0 }: { seen?: Seq; durable?: Seq },
  ): void {
    if (incarnation === '') return;
    const member = spaceMember(address);
    const before = this.#known.get(member);
    const known = before?.incarnation === incarnation ? before : { incarnation, seen: 0, durable: 0 };
    known.seen = Math.max(known.seen, seen);
    known.durable = Math.max(known.durable, durable);
    if (known !== before) this.#known.set(member, known);
  }

  /**
   * Reads a log again where its end is below what this process knows, once it is broken there.
   * @param seen what the caller knows besides
   */
  async readWhole<Read extends object>(
    address: LogAddress,
    incarnation: string,
    read: () => Promise<Read & { last?: Seq }>,
    seen: Seq = 0,
  ): Promise<Read> {
    this.note(address, incarnation, { seen });
    // As it is before the read: what is appended meanwhile may be noted before the reply comes.
    const before = this.#find(address, incarnation);
    const [acknowledged, durable] = [before?.seen ?? 0, before?.durable ?? 0];
    let reply = await read();
    if (reply.last !== undefined && reply.last < Math.max(acknowledged, durable)) {
      const why =
        acknowledged > durable
          ? ({ reason: 'lost', seq: acknowledged } as const)
          : ({ reason: 'behind', seq: durable } as const);
      await this.tear(address, incarnation, why);
      reply = await read();
    }
    this.note(address, incarnation, { seen: reply.last ?? 0 });
    return reply;
  }

  /** @returns whether the log is broken by this */
  async tear(address: LogAddress, incarnation: string, why: TearReason): Promise<boolean> {
    const seq = why.reason === 'run' ? (why.cursor ?? '') : why.reason === 'told' ? '' : why.seq;
    const reply = await this.#redis.eval(
      TEAR,
      [
        ...[logMetaKey(address), logKey(address, incarnation), this.dirtyKey(address)],
        ...[snapshotKey(address, incarnation), metadataKey(address, incarnation)],
      ],
      [
        ...[incarnation, spaceMember(address), why.reason, String(seq)],
        why.reason === 'told' ? `${why.after} ${why.to}` : '',
      ],
    );
    return reply === 1;
  }

  #seen(address: LogAddress, incarnation: string): Seq {
    const known = this.#find(address, incarnation);
    return known === undefined ? 0 : Math.max(known.seen, known.durable);
  }

  #find(address: LogAddress, incarnation: string): Readonly<Remembered> | undefined {
    const known = this.#known.get(spaceMember(address));
    return known?.incarnation === incarnation ? known : undefined;
  }

  /** @returns false where Postgres does not say now where it is */
  async #verify(address: LogAddress, incarnation: string): Promise<boolean> {
    const cursor = (await this.#options.findCursor?.(address, incarnation)) ?? null;
    if (cursor === 'away' || this.#options.findCursor === null) return false;
    await this.tear(address, incarnation, { reason: 'run', cursor });
    return true;
  }
}

/** FNV-1a, 32 bits. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
