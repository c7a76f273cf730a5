import { setTimeout as delay } from 'node:timers/promises';

/** Sends a request with a credential. */
export type Send = (path: string, init: RequestInit) => Promise<Response>;

/** An acknowledged write. Every name is written once. */
export interface Acknowledged {
  kind: 'object' | 'message';
  name: string;
}

/** How a client uses the server. Clients of `keyed` and `wait` repeat a write under its key until it is acknowledged. */
type Kind = 'write' | 'keyed' | 'wait' | 'read' | 'poll';

export type Clients = Readonly<Record<Kind, number>>;

export interface LoadAnswer {
  kind: Kind;
  /** The status, with the durability of a write; `none` where no answer came. */
  outcome: string;
  ms: number;
  /** When it came, by `performance.now()`. */
  atMs: number;
}

/** The numbers of clients. Together they are 20. */
export const CLIENTS: Clients = { write: 5, keyed: 5, wait: 4, read: 4, poll: 2 };
/** Milliseconds between two requests of a client. */
const PAUSE_MS = 250;
/** Milliseconds after which a client gives up: longer than the server may take. */
const GIVE_UP_MS = 20_000;
/** One write in so many is a message. */
const MESSAGE_EVERY = 4;

/** Concurrent clients of one space, and the ledger of their answers. */
export class SteadyLoad {
  readonly acknowledged: Acknowledged[] = [];
  readonly answers: LoadAnswer[] = [];
  /** Objects that a state lacked, although they had been acknowledged as `queued` or `committed`, and it was not provisional. */
  readonly missing: string[] = [];
  /** Objects that every later state must show. */
  readonly #placed: string[] = [];
  /** Requests without an answer now, and the highest number of them. */
  inFlight = 0;
  inFlightMax = 0;
  readonly #send: Send;
  readonly #at: string;
  readonly #running: Promise<void>[];
  #isOver = false;

  constructor(send: Send, spaceId: string, clients: Clients = CLIENTS) {
    this.#send = send;
    this.#at = `/v1/spaces/${spaceId}`;
    this.#running = (Object.keys(clients) as Kind[]).flatMap((kind) =>
      Array.from({ length: clients[kind] }, (_, client) => this.#run(kind, `${kind}-${client}`)),
    );
  }

  /** Ends when the last request is answered. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  /** Answers that came between two moments. */
  between(fromMs: number, toMs: number): LoadAnswer[] {
    return this.answers.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  }

  async #run(kind: Kind, name: string): Promise<void> {
    let since: number | null = null;
    // Clients do not begin in step.
    await delay(Math.random() * PAUSE_MS);
    for (let turn = 0; !this.#isOver; turn++) {
      if (kind === 'read') await this.#read();
      else if (kind === 'poll') since = await this.#poll(since);
      else await this.#write(kind, `${name}-${turn}`, turn % MESSAGE_EVERY === MESSAGE_EVERY - 1);
      await delay(PAUSE_MS);
    }
  }

  async #read(): Promise<void> {
    const placed = this.#placed.length;
    const { status, body } = await this.#ask('read', `${this.#at}/state`, {});
    if (status !== 200 || body?.spilled !== undefined) return;
    const ids = new Set(body?.objects?.map(({ id }) => id));
    this.missing.push(...this.#placed.slice(0, placed).filter((name) => !ids.has(name)));
  }

  async #poll(since: number | null): Promise<number | null> {
    const query = since === null ? '' : `?since=${since}`;
    const { status, body } = await this.#ask('poll', `${this.#at}/changes${query}`, {});
    if (status === 410) return null;
    return typeof body?.head === 'number' ? body.head : since;
  }

  async #write(kind: 'write' | 'keyed' | 'wait', name: string, isMessage: boolean): Promise<void> {
    const op = isMessage ? { op: 'chat.post', text: name } : { op: 'put', id: name, name };
    const init: RequestInit = {
      method: 'POST',
      body: JSON.stringify({ ops: [op] }),
      headers: {
        'Content-Type': 'application/json',
        ...(kind !== 'write' && { 'Idempotency-Key': crypto.randomUUID() }),
        ...(kind === 'wait' && { Prefer: 'wait' }),
      },
    };
    for (;;) {
      const { status, body } = await this.#ask(kind, `${this.#at}/updates`, init);
      if (status === 200 || status === 202) {
        if (!isMessage && (body?.durability === 'queued' || body?.durability === 'committed'))
          this.#placed.push(name);
        this.acknowledged.push({ kind: isMessage ? 'message' : 'object', name });
        return;
      }
      if (kind === 'write' || this.#isOver) return;
      await delay(PAUSE_MS);
    }
  }

  async #ask(
    kind: Kind,
    path: string,
    init: RequestInit,
  ): Promise<{ status: number; body: LoadBody | null }> {
    const beganMs = performance.now();
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    let status = 0;
    let body: LoadBody | null = null;
    let outcome = 'none';
    try {
      const response = await this.#send(path, { ...init, signal: AbortSignal.timeout(GIVE_UP_MS) });
      body = (await response.json()) as LoadBody;
      status = response.status;
      outcome = `${status}${body.durability === undefined ? '' : ` ${body.durability}`}`;
    } catch {
      outcome = 'none';
    }
    this.inFlight--;
    const atMs = performance.now();
    this.answers.push({ kind, outcome, ms: atMs - beganMs, atMs });
    return { status, body };
  }
}

/** The members that the clients read. */
interface LoadBody {
  durability?: string;
  objects?: { id: string }[];
  spilled?: number;
  head?: number;
}

/** Counts answers by their outcome: `200 12, 202 queued 340`. */
export function countOutcomes(answers: readonly LoadAnswer[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of answers) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([outcome, count]) => `${outcome}: ${count}`)
    .join(', ');
}

/** @returns the middle of the times of answers; infinite without one */
export function findMedianMs(answers: readonly LoadAnswer[]): number {
  const sorted = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.POSITIVE_INFINITY;
}
