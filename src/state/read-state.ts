import { readEntry } from '../log/log-reader.ts';
import type { LogAddress } from '../log/log-stores.ts';
import type { Defer } from '../log/space-log.ts';
import { AppError, isAway, notFound } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { isBehind } from '../world/snapshot-lag.ts';
import type { Seq } from '../world/types.ts';
import { WorldView } from '../world/world-view.ts';
import { completeMetadata } from './complete-metadata.ts';
import type { StateOutcome, StateParts, Version } from './state-parts.ts';
import type { Marks, SpaceMetadata, StateReply, StateRequest } from './state-stores.ts';
import type { HeldState } from './view-cache.ts';
import { waitUntilCommitted } from './wait-until-committed.ts';

type Missing = Extract<StateReply, { status: 'missing' }>;
type Found = Extract<StateReply, { status: 'state' }>;
type Same = Extract<StateReply, { status: 'same' }>;

/** Milliseconds that a reader waits for what another loads, and for a log that another opens. */
const OTHERS_MS_MAX = 5_000;
const OPENING_MS_MAX = 500;
const POLL_FIRST_MS = 5;
const POLL_MS_MAX = 50;
/**
 * Pauses of a reader between its questions, in the first moments of an outage: a connection may be made again, and a breaker may close.
 * Nobody asks again in an outage that is older, or after so many milliseconds.
 */
const AWAY_PAUSES_MS = [50, 150, 300, 600, 300];
const AWAY_MS = 3_000;
const ASKING_MS_MAX = 6_000;
/** Loads of one reader: a world that is replaced over and over is given up behind these. */
const LOADS_MAX = 4;

/**
 * Reads a state from its snapshot and the log after it, in one Redis command. So a state has every write that was answered 202.
 * Postgres is asked only if there is no snapshot.
 *
 *   read ─┬─ state ─────────► fold what came since into the view, show it
 *         ├─ missing ───────► one reader loads it from Postgres, the others wait
 *         ├─ cold, deleted ─► one opens the log, the others wait
 *         └─ a staged world in the log ─► wait for its drain, load
 */
export async function readState(
  parts: StateParts,
  address: LogAddress,
  version: Version | 'any' | null,
  defer: Defer,
): Promise<StateOutcome> {
  return new StateReading(parts, address, version, defer).run();
}

class StateReading {
  readonly #parts: StateParts;
  readonly #address: LogAddress;
  readonly #version: Version | 'any' | null;
  readonly #defer: Defer;
  readonly #token: string;
  #held: HeldState | null;
  /** Metadata that this reader has loaded itself counts as new: it was read after the call. */
  #ownMetadata: SpaceMetadata | null = null;
  #atLeast: Seq = 0;
  #loads = 0;
  readonly #beganMs: number;
  /** When Redis was last asked: what it answers was the newest then. */
  #askedMs = 0;

  constructor(parts: StateParts, address: LogAddress, version: Version | 'any' | null, defer: Defer) {
    this.#parts = parts;
    this.#address = address;
    this.#version = version;
    this.#defer = defer;
    this.#token = parts.options.createToken();
    this.#held = parts.views.get(address);
    this.#beganMs = parts.options.now();
  }

  async run(): Promise<StateOutcome> {
    const { pause } = this.#parts.options;
    for (let delayMs = POLL_FIRST_MS; ; delayMs = Math.min(delayMs * 2, POLL_MS_MAX)) {
      const reply = await this.#ask();
      switch (reply.status) {
        case 'away':
          return { status: 'elsewhere', isProvisional: true };
        case 'elsewhere':
          return this.#readElsewhere(reply.last);
        case 'same':
          this.#count();
          this.#renewMetadata(reply);
          this.#noteCurrent(reply);
          return { status: 'same', seq: reply.seq, rev: reply.rev, ageMs: 0 };
        case 'large':
          return this.#readElsewhere(reply.last);
        case 'cold':
        case 'deleted':
          // Opening takes a moment. If the space does not exist, each of many readers finds that out by itself.
          if (reply.isChosen || this.#isTired(OPENING_MS_MAX)) await this.#open(reply.incarnation);
          else await pause(delayMs);
          break;
        case 'missing':
          if (reply.isChosen || this.#isTired()) {
            if ((await this.#load(reply)) === 'too_large') return this.#readElsewhere(reply.last);
          } else await pause(delayMs);
          break;
        case 'state': {
          const outcome = await this.#show(reply);
          if (outcome !== null) return outcome;
        }
      }
    }
  }

  /** The caller has the same state as this process: it is the newest now. */
  #noteCurrent({ seq, rev }: Same): void {
    const held = this.#held;
    if (held !== null && held.view.seq === seq && held.metadata.rev === rev) held.currentMs = this.#askedMs;
  }

  /** @returns `elsewhere` if only this answer of Redis does not come: it may be too large */
  async #ask(): Promise<StateReply | { status: 'away' } | { status: 'elsewhere'; last: Seq | null }> {
    this.#askedMs = this.#parts.options.now();
    const { hits, misses } = this.#takeCounts();
    const held = this.#held;
    const request: StateRequest = {
      held: held && { incarnation: held.incarnation, seq: held.view.seq, epoch: held.epoch },
      metadataId: this.#ownMetadata === null ? (held?.metadataId ?? null) : 'own',
      version: this.#version,
      atLeast: this.#atLeast,
      token: this.#token,
      hits,
      misses,
    };
    const { store, log, outage, options } = this.#parts;
    // One lost answer does not make Redis away, and Postgres may be behind acknowledged writes.
    for (const pauseMs of [...AWAY_PAUSES_MS, null]) {
      const reply = await orAway(store.read(this.#address, request));
      const ends = reply === 'away' ? await orAway(log.readEnds(this.#address)) : null;
      if (reply !== 'away' || ends !== 'away') outage.sinceMs = null;
      if (reply !== 'away') return reply;
      if (ends !== 'away' && ends !== null) {
        const again = await orAway(store.read(this.#address, request));
        return again === 'away' ? { status: 'elsewhere', last: ends.last } : again;
      }
      const nowMs = options.now();
      outage.sinceMs ??= nowMs;
      const isOld = nowMs > outage.sinceMs + AWAY_MS || nowMs > this.#askedMs + ASKING_MS_MAX;
      if (pauseMs === null || isOld) break;
      await options.pause(pauseMs);
    }
    return { status: 'away' };
  }

  async #readElsewhere(seq: Seq | null): Promise<StateOutcome> {
    if (seq === null) return { status: 'elsewhere', isProvisional: false };
    const outcome = await waitUntilCommitted(this.#parts, this.#address, { seq, defer: this.#defer });
    return { status: 'elsewhere', isProvisional: outcome === 'away' };
  }

  /** Whether others are not waited for any more. */
  #isTired(waitMs = OTHERS_MS_MAX): boolean {
    return this.#loads > 0 || this.#parts.options.now() >= this.#beganMs + waitMs;
  }

  async #open(incarnation: string): Promise<void> {
    this.#countLoad();
    try {
      await this.#parts.log.open(this.#address);
    } finally {
      this.#endLoading(incarnation);
    }
  }

  #endLoading(incarnation: string): void {
    const { store } = this.#parts;
    this.#defer(store.endLoading(this.#address, incarnation, this.#token).catch(() => undefined));
  }

  /** @throws state_unsettled */
  #countLoad(): void {
    this.#loads++;
    if (this.#loads > LOADS_MAX)
      throw new AppError('state_unsettled', 'The world was replaced again and again while it was read.', {
        retryAfterSeconds: 1,
      });
  }

  async #load(missing: Missing): Promise<'loaded' | 'too_large'> {
    const { incarnation, marks } = missing;
    const { store, loader, options, drain } = this.#parts;
    let isKept = false;
    try {
      if (!missing.world) {
        await this.#loadMetadata(incarnation, marks);
        return 'loaded';
      }
      // A world that was just loaded and does not serve: the log has lost entries, which a drain finds and passes over.
      if (this.#held !== null && this.#loads > 0)
        await drain.run(this.#address, { token: null, budgetMs: LIMITS.drainMsMax });
      this.#countLoad();
      const loaded = await loader.loadWorld(this.#address, options.worldCharactersMax);
      if (loaded === null) throw notFound('this space');
      if (loaded === 'too_large') {
        this.#defer(store.keepLarge(this.#address, incarnation, missing.last).catch(() => undefined));
        return 'too_large';
      }
      const { metadata, objects, avatars, chat, seq } = loaded;
      const loadedMs = options.now();
      // Written down before others move the view on.
      const world = { seq, loadedMs, objects: new Map(objects), avatars: structuredClone(avatars), chat };
      const view = new WorldView({ spaceId: this.#address.spaceId, seq, loadedMs }, objects, avatars, chat);
      this.#held = {
        incarnation,
        epoch: marks.epoch,
        view,
        durableSeq: seq,
        currentMs: this.#askedMs,
        metadataId: null,
        metadata,
      };
      this.#ownMetadata = metadata;
      if (marks.isErasing) return 'loaded';
      isKept = true;
      this.#keep(
        incarnation,
        store
          .keepMetadata(this.#address, incarnation, { metadata, marks })
          .then(() => store.keepWorld(this.#address, incarnation, { world, marks, token: this.#token })),
      );
      return 'loaded';
    } finally {
      // The cached state ends the pause itself.
      if (!isKept) this.#endLoading(incarnation);
    }
  }

  async #loadMetadata(incarnation: string, marks: Marks): Promise<void> {
    this.#countLoad();
    const { store, loader } = this.#parts;
    const metadata = await loader.loadMetadata(this.#address);
    if (metadata === null) throw notFound('this space');
    this.#ownMetadata = metadata;
    // Others wait for it: it is there before they are let on.
    await store.keepMetadata(this.#address, incarnation, { metadata, marks }).catch(() => undefined);
  }

  /** Before it is missing, so that no reader waits for it. */
  #renewMetadata({ renewsMetadata, incarnation, marks }: Found | Same): void {
    if (!renewsMetadata) return;
    const { store, loader } = this.#parts;
    this.#keep(
      incarnation,
      loader.loadMetadata(this.#address).then(async (metadata) => {
        if (metadata !== null) await store.keepMetadata(this.#address, incarnation, { metadata, marks });
      }),
    );
  }

  #keep(incarnation: string, work: Promise<unknown>): void {
    const { onEvent } = this.#parts.options;
    const fail = (cause: unknown) => {
      onEvent({ event: 'snapshot_failed', address: this.#address, cause });
      // Nobody is to wait for what does not come.
      this.#endLoading(incarnation);
    };
    this.#defer(work.catch(fail));
  }

  /** @returns null where it has to be read again. */
  async #show(found: Found): Promise<StateOutcome | null> {
    const { views, options } = this.#parts;
    const { incarnation, snapshot, marks, entries, last, committed, behind } = found;
    this.#renewMetadata(found);
    const version = this.#version;
    if (version !== null && version !== 'any' && version.seq > last)
      this.#defer(options.noteAhead(this.#address, { incarnation, seen: version.seq, last, next: null }));
    const { spaceId } = this.#address;
    const view =
      snapshot === null
        ? this.#held?.view
        : new WorldView({ spaceId, ...snapshot }, snapshot.objects, snapshot.avatars, snapshot.chat);
    const metadata = this.#ownMetadata ?? found.metadata.kept ?? this.#held?.metadata;
    if (view === undefined || metadata === undefined)
      throw new AppError('internal', 'A cached state was taken for a sent one.');
    const folded = view.fold(entries.map(readEntry));
    if (folded.status === 'reload') {
      views.drop(this.#address);
      this.#held = null;
      this.#atLeast = folded.seq;
      await waitUntilCommitted(this.#parts, this.#address, { seq: folded.seq, defer: this.#defer });
      return null;
    }
    const metadataId = this.#ownMetadata === null ? found.metadata.id : null;
    const [durableSeq, currentMs] = [Math.min(committed, last), this.#askedMs];
    this.#held = { incarnation, epoch: marks.epoch, view, durableSeq, currentMs, metadataId, metadata };
    // The log behind it is longer than one reply.
    if (view.seq < last && entries.length > 0) return null;
    dropUnknown(view, metadata);
    if (
      (await completeMetadata(this.#parts.loader, this.#address, { view, metadata })) &&
      metadataId !== null
    ) {
      const completed = { id: metadataId, metadata };
      this.#keep(incarnation, this.#parts.store.completeMetadata(this.#address, incarnation, completed));
    }
    if (!marks.isErasing) views.put(this.#address, this.#held);
    // Another process caches the loaded world already.
    if (this.#loads === 0 && (behind === null || isBehind({ ...behind, objects: view.objects })))
      options.renew(this.#address, incarnation, this.#defer);
    this.#count();
    return { status: 'state', view, metadata, durableSeq: Math.min(committed, view.seq), ageMs: 0 };
  }

  #takeCounts(): { hits: number; misses: number } {
    const { counts, options } = this.#parts;
    const own = counts.get(this.#address.tenantId);
    if (own === undefined || options.now() - own.sentMs < options.countMs) return { hits: 0, misses: 0 };
    const { hits, misses } = own;
    Object.assign(own, { hits: 0, misses: 0, sentMs: options.now() });
    return { hits, misses };
  }

  /** A read is a hit where it loaded nothing. */
  #count(): void {
    const { counts } = this.#parts;
    const { tenantId } = this.#address;
    const own = counts.get(tenantId) ?? { hits: 0, misses: 0, sentMs: 0 };
    if (this.#loads === 0) own.hits++;
    else own.misses++;
    counts.set(tenantId, own);
    this.#parts.options.onRead?.(this.#loads === 0 ? 'hit' : 'miss');
  }
}

/** Drops avatars whose person did not exist when their entry was applied. They start again when the person exists. */
function dropUnknown({ avatars }: WorldView, { seq, present }: SpaceMetadata): void {
  for (const avatar of avatars.values())
    if (avatar.seq <= seq && !present.has(avatar.id)) avatars.delete(avatar.id);
}

async function orAway<T>(work: Promise<T>): Promise<T | 'away'> {
  try {
    return await work;
  } catch (error) {
    if (isAway(error)) return 'away';
    throw error;
  }
}
