import type { LogAddress } from '../log/log-stores.ts';
import type { RedisClient } from './client.ts';
import { createLostError } from './errors.ts';
import { dirtyKey, spaceMember } from './keys.ts';

export interface LogOptions {
  /** For how long a drain that was elected, and does not say more, keeps others from being elected. */
  leaseMs: number;
  /** How long a drain that was elected lets more come, before it begins. */
  soonMs: number;
  /** How long a drain that nobody waits for lets more come, when it or another has been through all there was. Below `leaseMs`. */
  restMs: number;
  /** Operations of a batch from which no rest follows: the next will be worth it too. */
  restlessOperations: number;
  /** Operations in a backlog from which a drain begins at once. */
  atOnceOperations: number;
  /** Sorted sets over which the spaces with something to drain are spread. Another number loses sight of those in the others. */
  shards: number;
  replayWindowMsMax: number;
  replayWindowEntriesMax: number;
  replayWindowBytesMax: number;
  /** Spaces whose incarnation a process remembers. */
  incarnationsMax: number;
}

/** What the log's commands have in common. */
export interface LogContext {
  redis: RedisClient;
  options: LogOptions;
  incarnations: Incarnations;
  dirtyKey(address: LogAddress): string;
  createToken(): string;
}

export function createLogContext(redis: RedisClient, options: LogOptions): LogContext {
  return {
    ...{ redis, options },
    incarnations: new Incarnations(options.incarnationsMax),
    dirtyKey: (address) => dirtyKey(hashText(spaceMember(address)) % options.shards),
    createToken: () => crypto.randomUUID(),
  };
}

const MOVES_MAX = 3;

/**
 * The spaces' incarnations, as they were last seen: a script must be told the names of its keys, and the log's has the
 * incarnation in it. One that is out of date is put right by the script's answer, at the price of a second call.
 */
export class Incarnations {
  readonly #known = new Map<string, string>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** Calls with the incarnation asked for, else with the one known ('' for none), and again with those it is sent on to. */
  async call<Outcome extends object>(
    address: LogAddress,
    incarnation: string | undefined,
    call: (incarnation: string, isFirst: boolean) => Promise<Outcome | { movedTo: string }>,
  ): Promise<Outcome> {
    const member = spaceMember(address);
    let current = incarnation ?? this.#known.get(member) ?? '';
    for (let moves = 0; moves <= MOVES_MAX; moves++) {
      const outcome = await call(current, moves === 0);
      if (!('movedTo' in outcome)) {
        if (current !== '' && this.#known.get(member) !== current) this.#keep(member, current);
        return outcome;
      }
      current = outcome.movedTo;
    }
    throw createLostError(new Error('the space is made anew over and over'));
  }

  #keep(member: string, incarnation: string): void {
    this.#known.delete(member);
    this.#known.set(member, incarnation);
    for (const [oldest] of this.#known) {
      if (this.#known.size <= this.#max) break;
      this.#known.delete(oldest);
    }
  }
}

/** FNV-1a, 32 bits. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
