import type { Quaternion, Seq, Vector3 } from '../world/types.ts';
import { Backoff } from './backoff.ts';
import { Chat } from './chat.ts';
import { createKey } from './create-key.ts';
import { Emitter } from './emitter.ts';
import { closed, toError, WorldkeepError } from './errors.ts';
import type { LiveMap } from './live-map.ts';
import { Mirror, type MirrorState, type SentChange } from './mirror.ts';
import { Outbox } from './outbox.ts';
import { createMemoryStore, type OutboxStore } from './outbox-store.ts';
import { Presence } from './presence.ts';
import { readStream } from './read-stream.ts';
import { Requests, type TokenSource } from './requests.ts';
import type { Durability, Sent } from './sent.ts';
import type {
  AvatarChanges,
  DeleteOptions,
  LiveObject,
  LiveUser,
  ObjectChanges,
  ObjectFields,
  Placement,
} from './types.ts';
import { within } from './within.ts';

/**
 * `connecting`: the world is not loaded yet. `live`: each change arrives. `offline`: the server does not answer; changes wait.
 * `unauthorized`: the server refuses the token; changes wait. `closed`: `close()` was called.
 */
export type WorldStatus = 'connecting' | 'live' | 'offline' | 'unauthorized' | 'closed';

export interface ConnectOptions {
  /** The address of the server, such as `https://worlds.example`. */
  url: string | URL;
  space: string;
  /** A session token or an API key; or a function that gets a new one when the server refuses the last one. */
  token: TokenSource;
  /** The person of the tokens, if `token` is a function. Then changes are stored before the first token is there. */
  userId?: string | undefined;
  /** Milliseconds for which a change waits for others: 100. */
  batchMs?: number | undefined;
  /** Changes that end this wait: 100. */
  batchMax?: number | undefined;
  /** The level at which the outbox forgets a change: `queued`. */
  durability?: 'queued' | 'committed' | undefined;
  /** Where unsent changes wait: in a browser IndexedDB, elsewhere memory. */
  store?: OutboxStore | undefined;
  /** Sends requests in place of `fetch`, such as a service binding of a Worker. */
  fetch?: typeof fetch | undefined;
}

export type WorldEvents = {
  status: [status: WorldStatus];
  /** A failure. The SDK retries where a retry can help. */
  error: [error: WorldkeepError];
  /** The server refused a change. The mirror no longer shows it. */
  refused: [error: WorldkeepError, operation: Sent['operation']];
  /** The mirror has applied changes up to this seq. */
  seq: [seq: Seq];
};

const EMPTY_ANSWER: MirrorState = { seq: 0, durableSeq: 0, objects: [], users: [], chat: [] };
/** Milliseconds before a request for people and messages that the stream cannot tell. Each repeat waits twice as long. */
const PEOPLE_MS = 500;
/** Repeats in a row. The server may show a person up to a minute late. */
const PEOPLE_REPEATS_MAX = 8;
/** Milliseconds after a load in which the server may not know a person yet. */
const LATE_PEOPLE_MS = 5_000;

/** Milliseconds before a provisional world is loaded again. */
const SPILLED_MS = 1_000;
/** Milliseconds after which a stream is steady: the next failure is a new one. */
const STEADY_MS = 5_000;
/** Milliseconds that a store has to close, also if the caller does not wait for the server. */
const CLOSE_MS_MIN = 1_000;

/** Failures without an answer of a server. */
const OFFLINE = new Set(['unreachable', 'no_token', 'other_person']);

/** A live mirror of one space. */
export class World {
  readonly space: string;
  readonly objects: LiveMap<LiveObject>;
  readonly users: LiveMap<LiveUser>;
  readonly presence: Presence;
  readonly chat: Chat;
  /** Resolves when the world is loaded. @throws WorldkeepError if the server refuses to show it */
  readonly ready: Promise<World>;
  readonly #requests: Requests;
  readonly #mirror = new Mirror();
  readonly #outbox: Outbox;
  readonly #emitter = new Emitter<WorldEvents>();
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff();
  #status: WorldStatus = 'connecting';
  #error: WorldkeepError | null = null;
  /** The loaded state is provisional, and this is its seq: what is above it has no place in the order yet. */
  #spilledAbove: Seq | null = null;
  /** The mirror's seq is that of an entry, not only of a state. */
  #isExact = false;
  #isStreaming = false;
  #peopleDueMs = 0;
  /** Counts requests for people, so that an older answer does not show people who were erased meanwhile. */
  #peopleOrder = 0;
  #peopleTimer: ReturnType<typeof setTimeout> | null = null;
  readonly #readiness = Promise.withResolvers<World>();

  /**
   * @param openStore opens the store of a name; null: there is none here, so changes wait in memory
   * @throws WorldkeepError `invalid_url`
   */
  constructor(options: ConnectOptions, openStore: (name: string) => OutboxStore | null) {
    const { url, space, token, batchMs = 100, batchMax = 100, durability = 'queued' } = options;
    this.space = space;
    this.#requests = new Requests(url, space, token, options.fetch ?? fetch);
    this.#requests.subject ??= options.userId ?? null;
    this.objects = this.#mirror.objects;
    this.users = this.#mirror.users;
    this.presence = new Presence(this.#requests);
    this.chat = new Chat(this.#mirror);
    this.ready = this.#readiness.promise;
    // A caller who does not wait for the world hears of the failure by event.
    this.ready.catch(() => undefined);
    // Each person has an outbox: nobody sends in the name of somebody else.
    const open = async () => {
      if (options.store) return options.store;
      const owner = await this.#readOwner();
      return (owner && openStore(`${new URL(url).href} ${space} ${owner}`)) || createMemoryStore();
    };
    this.#outbox = new Outbox(
      this.#requests,
      open,
      { batchMs, batchMax, durability },
      {
        show: (item) => this.#mirror.show(item),
        accept: (item, seq) => {
          this.#mirror.accept(item, seq);
          // The stream may have been open while writes failed.
          if (this.#isStreaming) this.#setStatus('live');
        },
        hide: (item) => this.#mirror.hide(item),
        refuse: (error, operation) => this.#emitter.emit('refused', error, operation),
        fail: (error) => this.#fail(error),
        readSeq: () => this.#mirror.seq,
      },
    );
    (globalThis as Partial<EventTarget>).addEventListener?.('online', this.#retry);
    this.#outbox.start();
    void this.#follow();
  }

  get status(): WorldStatus {
    return this.#status;
  }

  /** The last failure since the world was live; null: none. */
  get error(): WorldkeepError | null {
    return this.#error;
  }

  /** The seq that the mirror has reached, in microseconds since 1970. */
  get seq(): Seq {
    return this.#mirror.seq;
  }

  /** Changes that the server is not known to have. */
  get unsent(): number {
    return this.#outbox.size;
  }

  /** The person of the session token; null for an API key. */
  get userId(): string | null {
    return this.#requests.subject;
  }

  /** @returns a function that removes the listener */
  on<Name extends keyof WorldEvents>(
    event: Name,
    listener: (...args: WorldEvents[Name]) => void,
  ): () => void {
    return this.#emitter.on(event, listener);
  }

  /** Creates an object, or replaces all of it. Absent fields take their defaults. */
  put(id: string, fields: ObjectFields = {}): Sent {
    // So that an object of the mirror can be put as it is.
    const { seq, createdSeq, createdBy, updatedBy, ...own } = fields as ObjectFields & Partial<LiveObject>;
    return this.#outbox.add(copy({ ...own, op: 'put' as const, id }));
  }

  /** Changes fields of an object. `properties` is a JSON merge patch (RFC 7396). */
  patch(id: string, changes: ObjectChanges): Sent {
    return this.#outbox.add(copy({ ...changes, op: 'patch' as const, id }));
  }

  delete(id: string, options: DeleteOptions = {}): Sent {
    return this.#outbox.add(copy({ ...options, op: 'delete' as const, id }));
  }

  /** Moves, turns or scales an object. */
  move(id: string, { position, rotation, scale }: Placement): Sent {
    return this.patch(id, {
      ...(position && { position: toVector(position) }),
      ...(rotation && { rotation: { ...toVector(rotation), w: rotation.w } as Quaternion }),
      ...(scale && { scale: toVector(scale) }),
    });
  }

  /** Moves the avatar of the token's person. @param userId for API keys: whose avatar */
  moveAvatar(changes: AvatarChanges, userId: string | null = this.userId): Sent {
    if (userId === null) throw new WorldkeepError('no_person', 'This token has no person.');
    return this.#outbox.add(copy({ ...changes, op: 'user.patch' as const, id: userId }));
  }

  /** Posts a message. @param kind a name that your clients choose: `text` */
  say(text: string, { kind = 'text' }: { kind?: string } = {}): Sent {
    return this.#outbox.add({ op: 'chat.post', id: createKey(), userId: this.userId, text, kind });
  }

  /** The level of the last change of an object. */
  durabilityOf(id: string): Durability {
    const seq = this.objects.get(id)?.seq ?? 0;
    const others = this.#spilledAbove === null ? 'queued' : 'spilled';
    const committedSeq = this.#spilledAbove ?? this.#outbox.committedSeq;
    return this.#mirror.levelOf(id) ?? (seq > committedSeq ? others : 'committed');
  }

  /** Uses another token of the same person from now on, for example after `unauthorized`. @throws WorldkeepError `other_person` */
  setToken(token: TokenSource): void {
    this.#requests.setToken(token);
    this.#retry();
  }

  /**
   * Sends what is unsent, then ends.
   * @param timeoutMs how long it may take: 5,000. After that, unsent changes stay in IndexedDB, or are lost with the memory.
   * @returns the number of unsent changes
   */
  async close({ timeoutMs = 5_000 }: { timeoutMs?: number } = {}): Promise<number> {
    if (this.#status === 'closed') return this.#outbox.size;
    await this.#outbox.drain(timeoutMs);
    (globalThis as Partial<EventTarget>).removeEventListener?.('online', this.#retry);
    clearTimeout(this.#peopleTimer ?? undefined);
    this.presence.close();
    this.#closing.abort();
    await within(Math.max(CLOSE_MS_MIN, timeoutMs), this.#outbox.close());
    this.#setStatus('closed');
    this.#readiness.reject(closed());
    return this.#outbox.size;
  }

  readonly #retry = (): void => {
    this.#backoff.end();
    this.#outbox.retry();
  };

  /**
   * Whose changes these are: the person and the tenant. Without the network, a function may not get a token for a long time.
   * @returns null after `close`
   */
  async #readOwner(): Promise<string | null> {
    const backoff = new Backoff();
    const { signal } = this.#closing;
    const closed = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => closed.resolve());
    while (this.#requests.canRenew && this.userId === null && !signal.aborted)
      try {
        await Promise.race([this.#requests.readToken(), closed.promise]);
        break;
      } catch {
        await backoff.wait(null, signal);
      }
    return signal.aborted ? null : this.#requests.owner;
  }

  /** Loads the world and follows its changes, again and again, until it is closed. */
  async #follow(): Promise<void> {
    let isLoaded = false;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        if (!isLoaded || this.#spilledAbove !== null) await this.#load();
        isLoaded = await this.#followStream();
      } catch (cause) {
        this.#isStreaming = false;
        if (signal.aborted) return;
        const error = toError(cause);
        if (error.code === 'trimmed') {
          isLoaded = false;
          await this.#backoff.wait(null, signal);
          continue;
        }
        this.#fail(error);
        if (isFinal(error)) {
          this.#readiness.reject(error);
          return void this.close({ timeoutMs: 0 });
        }
        const isRefused = error.status === 401 && !this.#requests.canRenew;
        await this.#backoff.wait(isRefused ? 600 : error.retryAfterSeconds, signal);
      }
    }
  }

  async #load(): Promise<void> {
    const state = await this.#requests.sendJson<MirrorState>('/state?include=objects,users,chat', {
      signal: this.#closing.signal,
    });
    if (!Number.isFinite(state.seq) || !Array.isArray(state.objects))
      throw new WorldkeepError('not_worldkeep', 'The answer is no world.');
    this.#peopleOrder++;
    this.#mirror.load({ ...EMPTY_ANSWER, ...state });
    this.#isExact = false;
    this.#spilledAbove = state.spilled === undefined ? null : state.seq;
    if (this.#spilledAbove === null)
      this.#outbox.recover(state.durableSeq, (op, seq) => this.#mirror.seqOf(op, seq));
    this.#emitter.emit('seq', this.#mirror.seq);
    this.#readiness.resolve(this);
    this.#loadPeopleSoon(0, LATE_PEOPLE_MS);
  }

  /** @returns false if the world must be loaded again */
  async #followStream(): Promise<boolean> {
    const ended = new AbortController();
    let isReset = false;
    const reset = () => {
      isReset = true;
      ended.abort();
    };
    const isAgain = this.#status === 'offline';
    const startMs = performance.now();
    await readStream(this.#requests, {
      since: this.#mirror.seq,
      isExact: this.#isExact,
      signal: AbortSignal.any([this.#closing.signal, ended.signal]),
      onOpen: () => {
        this.#error = null;
        this.#isStreaming = true;
        this.#setStatus('live');
        this.presence.refresh();
        if (isAgain) this.#outbox.retry(false);
        if (this.#spilledAbove !== null) setTimeout(reset, SPILLED_MS);
      },
      onEvent: async (event, data) => {
        // Later events belong to the world that is loaded next.
        if (isReset) return;
        if (event === 'change') await this.#receive(JSON.parse(data));
        else if (event === 'committed' && this.#spilledAbove === null)
          this.#outbox.commit(JSON.parse(data).seq);
        else if (event === 'presence') {
          this.presence.refresh();
          this.#loadPeopleSoon(0);
        } else if (event === 'reset') reset();
      },
    });
    this.#isStreaming = false;
    const isSteady = performance.now() - startMs >= STEADY_MS;
    if (isSteady) this.#backoff.reset();
    if (!isReset) this.#setStatus('offline');
    if (!isReset || !isSteady) await this.#backoff.wait(null, this.#closing.signal);
    return !isReset;
  }

  async #receive(change: SentChange): Promise<void> {
    if (change.seq <= this.#mirror.seq) return;
    await this.#repair(change.prev);
    if (change.seq > this.#mirror.seq) this.#applyChange(change);
  }

  /** Reads the entries that the stream did not bring, at least up to a seq. @throws WorldkeepError `trimmed` */
  async #repair(until: Seq): Promise<void> {
    while (this.#mirror.seq < until) {
      const { changes } = await this.#requests.sendJson<{ changes: Omit<SentChange, 'prev'>[] }>(
        `/changes?since=${this.#mirror.seq}&limit=1000`,
        { signal: this.#closing.signal },
      );
      if (changes.length === 0) throw new WorldkeepError('trimmed', 'Changes are gone.');
      for (const change of changes) this.#applyChange(change);
    }
  }

  /** @throws WorldkeepError `trimmed` if the log has lost a change of this client: the loaded world tells more */
  #applyChange(change: Omit<SentChange, 'prev'>): void {
    if (this.#outbox.misses(this.#mirror.seq, change.seq))
      throw new WorldkeepError('trimmed', 'Changes are gone.');
    this.#mirror.apply(change);
    this.#isExact = true;
    if (this.#mirror.isIncomplete) this.#loadPeopleSoon(0);
    this.#emitter.emit('seq', change.seq);
  }

  /** Names and erased people are not in the log, nor messages that replace deleted ones. */
  #loadPeopleSoon(repeat: number, ms = PEOPLE_MS * 2 ** repeat): void {
    const dueMs = performance.now() + ms;
    if (this.#peopleTimer !== null && dueMs >= this.#peopleDueMs) return;
    clearTimeout(this.#peopleTimer ?? undefined);
    this.#peopleDueMs = dueMs;
    this.#peopleTimer = setTimeout(async () => {
      this.#peopleTimer = null;
      const order = ++this.#peopleOrder;
      const isTaken = await this.#requests
        .sendJson<MirrorState>('/state?include=users,chat', { signal: this.#closing.signal })
        // Provisional seqs would hide later ones.
        .then(
          (state) =>
            order === this.#peopleOrder &&
            state.spilled === undefined &&
            this.#mirror.loadPeople({ ...EMPTY_ANSWER, ...state }),
        )
        .catch(() => false);
      if (!this.#closing.signal.aborted && (!isTaken || this.#mirror.isIncomplete))
        if (repeat < PEOPLE_REPEATS_MAX) this.#loadPeopleSoon(repeat + 1);
        else this.#mirror.giveUpNames();
    }, ms);
  }

  #fail(error: WorldkeepError): void {
    this.#error = error;
    this.#emitter.emit('error', error);
    if (error.status === 401) this.#setStatus('unauthorized');
    else if (OFFLINE.has(error.code) || (error.status ?? 0) >= 500) this.#setStatus('offline');
  }

  #setStatus(status: WorldStatus): void {
    if (this.#status === status || this.#status === 'closed') return;
    this.#status = status;
    this.#emitter.emit('status', status);
  }
}

/** Whether no retry can help: the space is not there, or is not for this token. */
function isFinal({ code, status }: WorldkeepError): boolean {
  if (code === 'not_worldkeep') return false;
  return status === 403 || status === 404 || status === 422 || status === 501;
}

/** A copy that the caller cannot change, as JSON. */
function copy<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value));
}

/** The plain numbers of a vector, such as one of three.js. The server refuses anything else. */
function toVector(vector: Partial<Vector3>): Partial<Vector3> {
  const { x, y, z } = vector;
  return x === undefined && y === undefined && z === undefined ? vector : ({ x, y, z } as Vector3);
}
