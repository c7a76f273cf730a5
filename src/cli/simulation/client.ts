import { WorldkeepError } from '../../client/errors.ts';
import { World } from '../../client/world.ts';
import { withTimeout } from '../../helpers/time.ts';
import { countOperations } from '../../world/move.ts';
import { CommandError } from '../errors.ts';
import type { Circle } from './circle.ts';
import type { Person } from './people.ts';
import { thinStream } from './thin-stream.ts';

/** Milliseconds in which a client must be live. */
const CONNECT_MS_MAX = 60_000;
/** Failures of a connection that waiting does not mend. */
const HOPELESS = new Set(['too_many_streams', 'no_live_log']);

export interface ClientOptions {
  url: string;
  space: string;
  person: Person;
  circle: Circle;
  /** It reads all changes. The others read only the changes of their own object. */
  isWatching: boolean;
  onError: (code: string) => void;
}

/** One simulated person: a client of the SDK that moves the object with the person's id. */
export class SimulatedClient {
  readonly id: string;
  readonly circle: Circle;
  readonly isWatching: boolean;
  readonly world: World;
  /** Operations in requests. A request that is sent again counts once. */
  sent = 0;
  acknowledged = 0;
  refused = 0;
  reconnects = 0;
  /** Moves without an answer. */
  open = 0;
  /** The elapsed time of the last acknowledged position; null: none is acknowledged. */
  acknowledgedMs: number | null = null;
  readonly #apiFetch = fetch;
  #lastKey: string | null = null;
  #lastSeq = 0;
  #isCounting = false;

  constructor({ url, space, person, circle, isWatching, onError }: ClientOptions) {
    this.id = person.id;
    this.circle = circle;
    this.isWatching = isWatching;
    this.world = new World({ url, space, token: person.token, fetch: this.#fetch }, () => null);
    this.world.on('error', ({ code }) => onError(code));
    this.world.on('refused', () => {
      this.refused++;
    });
    let wasLive = false;
    this.world.on('status', (status) => {
      if (status !== 'live') return;
      if (wasLive) this.reconnects++;
      wasLive = true;
    });
  }

  /** Resolves when the world is live and has the object. @throws CommandError */
  async begin(): Promise<void> {
    const refuse = (code: string, reason: string) =>
      new CommandError(code, `client ${this.id} cannot connect: ${reason}`);
    const begun = this.#becomeLive().then(() =>
      this.world.put(this.id, { position: this.circle.placeAt(0) }).reached('queued'),
    );
    try {
      await withTimeout(CONNECT_MS_MAX, begun, () =>
        refuse('unreachable', this.world.error?.message ?? `not live after ${CONNECT_MS_MAX / 1_000} s`),
      );
    } catch (error) {
      throw error instanceof WorldkeepError ? refuse(error.code, error.message) : error;
    }
    this.#isCounting = true;
  }

  #becomeLive(): Promise<void> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      world.on('status', (status) => {
        if (status === 'live') resolve();
        if (status === 'closed') reject(new WorldkeepError('closed', 'The world was closed first.'));
      });
      world.on('error', (error) => {
        if (HOPELESS.has(error.code) || error.status === 401) reject(error);
      });
      world.ready.catch(reject);
    });
  }

  move(elapsedMs: number): void {
    this.open++;
    this.world
      .move(this.id, { position: this.circle.placeAt(elapsedMs) })
      .reached('queued')
      .then(({ seq }) => {
        this.acknowledgedMs = elapsedMs;
        // Moves that were merged have the seq of one operation.
        if (seq !== null && seq > this.#lastSeq) {
          this.#lastSeq = seq;
          this.acknowledged++;
        }
      })
      .catch(() => undefined)
      .finally(() => {
        this.open--;
      });
  }

  readonly #fetch: typeof fetch = async (input, init) => {
    if (init?.method === 'POST' && this.#isCounting) this.#count(init);
    const response = await this.#apiFetch(input, init);
    if (this.isWatching || response.body === null || !String(input).includes('/stream?')) return response;
    const { status, headers } = response;
    return new Response(thinStream(response.body, this.id), { status, headers });
  };

  #count({ headers, body }: RequestInit): void {
    const key = new Headers(headers).get('Idempotency-Key');
    if (key === this.#lastKey) return;
    this.#lastKey = key;
    this.sent += countOperations((JSON.parse(String(body)) as { ops: { op: string }[] }).ops);
  }
}
