import type { Operation, OperationStatus } from '../world/operation.ts';
import type { Seq } from '../world/types.ts';
import type { WorldkeepError } from './errors.ts';

/**
 * The level of an operation, by its safest holder. `local`: this client. `memory`: one process of the server. `spilled`: Postgres, where it
 * waits for its place in the order. `queued`: the server's log, in its place in the order. `committed`: Postgres, in its place.
 */
export type Durability = 'local' | 'memory' | 'spilled' | 'queued' | 'committed';

/** From the weakest. */
export const LEVELS: Durability[] = ['local', 'memory', 'spilled', 'queued', 'committed'];

interface Waiter {
  level: Durability;
  resolve: (sent: Sent) => void;
  reject: (error: WorldkeepError) => void;
}

/** One operation on its way to the server. */
export class Sent {
  /** The operation. Of a long series that was merged while it was unsent, several calls return the same handle. */
  operation: Operation;
  #durability: Durability = 'local';
  #error: WorldkeepError | null = null;
  #waiters: Waiter[] = [];
  #ended: WorldkeepError | null = null;
  /** The seq of its request's last entry; null while it is `local`. */
  seq: Seq | null = null;
  /** Its outcome. Only the server knows it, and only conditional operations (`ifSeq`) ask for it; null otherwise. */
  status: OperationStatus | null = null;

  constructor(operation: Operation) {
    this.operation = operation;
  }

  get durability(): Durability {
    return this.#durability;
  }

  /** Why the operation will never be applied; null: it was not refused. */
  get error(): WorldkeepError | null {
    return this.#error;
  }

  /** Resolves when the operation has reached the level. @throws WorldkeepError if the server refuses it */
  reached(level: Durability): Promise<Sent> {
    if (!LEVELS.includes(level)) return Promise.reject(new RangeError(`There is no level "${level}".`));
    if (this.#error === null && this.#has(level)) return Promise.resolve(this);
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => this.#waiters.push({ level, resolve, reject }));
  }

  /** @internal The operation has reached a level. A level never falls. */
  raise(level: Durability): void {
    if (this.#has(level)) return;
    this.#durability = level;
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => !this.#has(waiter.level));
    for (const waiter of waiters) if (this.#has(waiter.level)) waiter.resolve(this);
  }

  /** @internal The server refuses the operation. */
  fail(error: WorldkeepError): void {
    this.#error = error;
    this.abandon(error);
  }

  /** @internal This client learns no more of the operation. */
  abandon(error: WorldkeepError): void {
    this.#ended = error;
    for (const { reject } of this.#waiters) reject(error);
    this.#waiters = [];
  }

  #has(level: Durability): boolean {
    return LEVELS.indexOf(this.#durability) >= LEVELS.indexOf(level);
  }
}
