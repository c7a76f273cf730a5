import type { LogAddress } from '../log/log-stores.ts';
import type { MoveForm } from '../world/change.ts';
import { AppError, isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { Seq } from '../world/types.ts';
import type { ChangesStore, LiveSource, PresenceHook, StreamPlace, StreamPlaces } from './live-stores.ts';
import type { SpaceChanges } from './space-changes.ts';
import { type Clock, SpaceStream, type StreamEnd } from './space-stream.ts';

export interface OpenStreamRequest extends LogAddress {
  principal: { kind: 'key'; id: string } | { kind: 'session'; id: string; userId: string };
  /** Behind which to begin; null: from now on. `isExact`: a seq that a stream of this space has given. */
  from: { seq: Seq; isExact: boolean } | null;
  moves?: MoveForm;
  /** Whether the stream also sends how far Postgres has committed the log. */
  sendsCommitted?: boolean;
  /** Whether the credential still serves. May reject where that cannot be found out. */
  isAllowed: () => Promise<boolean>;
  /** Keeps work going that nobody waits for. */
  defer: (work: Promise<unknown>) => void;
  /** Told when the stream has ended. */
  onEnd?: (end: StreamEnd) => void;
}

/** Told of what nobody waits for. */
export interface StreamEvent {
  event: 'stream_failed' | 'stream_dropped' | 'presence_failed';
  address: LogAddress;
  cause?: unknown;
}

export interface SpaceStreamsOptions {
  clock: Clock;
  heartbeatMs: number;
  /** A name that no other stream has. */
  createId: () => string;
  presence: PresenceHook | null;
  /** Has Redis know of a log again that it has forgotten. */
  openLog?: (address: LogAddress) => Promise<void>;
  onEvent: (told: StreamEvent) => void;
  /** Whether `endAll` will be called: where streams end with their requests, nothing remembers them. */
  remembers: boolean;
}

const FULL_RETRY_SECONDS = 10;

/** All streams of one process. Their places are shared with all other processes. */
export class SpaceStreams {
  readonly #changes: SpaceChanges;
  readonly #redis: { changes: ChangesStore; live: LiveSource; places: StreamPlaces };
  readonly #options: SpaceStreamsOptions;
  readonly #open = new Set<SpaceStream>();
  #isStopping = false;

  constructor(
    changes: SpaceChanges,
    redis: { changes: ChangesStore; live: LiveSource; places: StreamPlaces },
    options: SpaceStreamsOptions,
  ) {
    this.#changes = changes;
    this.#redis = redis;
    this.#options = options;
  }

  /** Whether there is such a space to follow. @throws not_found, store_unavailable */
  async check(address: LogAddress): Promise<void> {
    await this.#find(address);
  }

  /** @throws not_found, too_many_streams, store_unavailable */
  async open(request: OpenStreamRequest): Promise<SpaceStream> {
    const { from, isAllowed, defer } = request;
    const address = { tenantId: request.tenantId, spaceId: request.spaceId };
    const { clock, heartbeatMs, createId, onEvent, remembers } = this.#options;
    const leaseMs = this.#leaseMs;
    const { incarnation, last, committed, isKnown } = await this.#find(address);
    const place = placeOf(request, createId());
    refuseFull(await this.#redis.places.take(place, leaseMs), place);
    const stream = new SpaceStream({
      address,
      incarnation,
      cursor: from?.seq ?? last,
      isExact: from?.isExact ?? true,
      moves: request.moves ?? 'columns',
      committed: request.sendsCommitted === true ? committed : null,
      resetAt: !isKnown && from !== null && from.seq !== last ? last : null,
      // Where Redis knows of no log, there is none to have seen.
      isNamed: from !== null || !isKnown,
      onAhead: (ahead) => defer(this.#changes.noteAhead(address, ahead)),
      onForgotten: () => defer(this.#reopen(address, () => stream.end('retired'))),
      changes: this.#redis.changes,
      live: this.#redis.live,
      clock,
      heartbeatMs,
      onHeartbeat: this.#createHeartbeat(request, place, isAllowed),
      onEnd: (end, cause) => {
        this.#open.delete(stream);
        // Where it cannot be given back, its lease runs out.
        defer(this.#redis.places.release(place).catch(() => undefined));
        if (end === 'failed') onEvent({ event: 'stream_failed', address, cause });
        if (end === 'slow') onEvent({ event: 'stream_dropped', address });
        request.onEnd?.(end);
      },
    });
    if (remembers) this.#open.add(stream);
    try {
      await stream.open();
      if (this.#isStopping) throw stopping();
    } catch (error) {
      stream.end('gone');
      throw error;
    }
    // A link may be older than the time for which its session counts as present.
    defer(this.#tellPresence(request.principal, address, { sweeps: false }));
    return stream;
  }

  /** The server stops. Its streams end immediately, and clients reconnect to another process. */
  endAll(): void {
    this.#isStopping = true;
    for (const stream of this.#open) stream.end('stopped');
  }

  /** Until it succeeds, each heartbeat tries again. */
  async #reopen(address: LogAddress, onDeleted: () => void): Promise<void> {
    try {
      await this.#options.openLog?.(address);
    } catch (cause) {
      if (cause instanceof AppError && cause.code === 'not_found') onDeleted();
      else if (!isAway(cause)) this.#options.onEvent({ event: 'stream_failed', address, cause });
    }
  }

  /** Milliseconds for which a stream has its place without a heartbeat. */
  get #leaseMs(): number {
    return LIMITS.streamLeaseHeartbeats * this.#options.heartbeatMs;
  }

  #find(address: LogAddress) {
    if (this.#isStopping) throw stopping();
    return this.#changes.read(address, { after: null, bytesMax: 0, entriesMax: 0 });
  }

  #createHeartbeat(
    { principal, tenantId, spaceId }: OpenStreamRequest,
    place: StreamPlace,
    isAllowed: () => Promise<boolean>,
  ): () => Promise<boolean> {
    const { clock } = this.#options;
    const leaseMs = this.#leaseMs;
    const address = { tenantId, spaceId };
    let allowedAtMs = clock.now();
    const findAllowed = async () => {
      try {
        if (!(await isAllowed())) return false;
        allowedAtMs = clock.now();
        return true;
      } catch {
        // A store is away: as for requests, what was good is good, for a while.
        return clock.now() - allowedAtMs < LIMITS.credentialStaleMsMax;
      }
    };
    const holdPlace = async () => {
      try {
        return (await this.#redis.places.take(place, leaseMs)) === 'taken';
      } catch {
        return true;
      }
    };
    return async () => {
      const isGood = await findAllowed();
      // A person who lost access is not present any more.
      if (!isGood) return false;
      const [hasPlace] = await Promise.all([
        holdPlace(),
        this.#tellPresence(principal, address, { sweeps: true }),
      ]);
      return hasPlace;
    };
  }

  /** A person who follows a space is present in it. */
  async #tellPresence(
    principal: OpenStreamRequest['principal'],
    address: LogAddress,
    { sweeps }: { sweeps: boolean },
  ): Promise<void> {
    const { presence, onEvent } = this.#options;
    if (presence === null) return;
    try {
      if (principal.kind === 'session')
        await presence.touch({ ...address, sessionId: principal.id, userId: principal.userId });
      if (sweeps) await presence.sweep(address);
    } catch (cause) {
      onEvent({ event: 'presence_failed', address, cause });
    }
  }
}

function placeOf({ tenantId, spaceId, principal }: OpenStreamRequest, streamId: string): StreamPlace {
  const isKey = principal.kind === 'key';
  return {
    tenantId,
    spaceId,
    streamId,
    principal: `${isKey ? 'k' : 's'}:${principal.id}`,
    spaceMax: LIMITS.streamsPerSpaceMax,
    principalMax: isKey ? LIMITS.streamsPerKeyMax : LIMITS.streamsPerSessionMax,
  };
}

function refuseFull(outcome: Awaited<ReturnType<StreamPlaces['take']>>, place: StreamPlace): void {
  if (outcome === 'taken') return;
  const { spaceMax, principalMax } = place;
  throw new AppError(
    'too_many_streams',
    outcome === 'space_full'
      ? `A space has at most ${spaceMax} streams open.`
      : `This key or session has at most ${principalMax} streams open.`,
    { retryAfterSeconds: FULL_RETRY_SECONDS },
  );
}

function stopping(): AppError {
  return new AppError('store_unavailable', 'This server is ending.', { retryAfterSeconds: 1 });
}
