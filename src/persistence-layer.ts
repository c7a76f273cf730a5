import type { EventCounts, EventLog } from './events/event-log.ts';
import { fingerprint } from './helpers/fingerprint.ts';
import type { StagedWorld } from './log/log-stores.ts';
import type { AppendOptions, CommittedOperations, Queued } from './log/space-log.ts';
import type { Spilled } from './log/world-log.ts';
import { erasePerson, type PersonParts } from './persistence/erase-person.ts';
import { exportPerson } from './persistence/export-person.ts';
import { nameMessages } from './persistence/name-messages.ts';
import { readOwnParts, refuseForSession, withinSpace } from './persistence/within-space.ts';
import {
  type ChatPage,
  deleteMessage,
  listMessages,
  type PostedMessage,
  type PostOptions,
  postMessage,
} from './persistence/world-chat.ts';
import {
  loadState,
  type ReadContext,
  readLag,
  readVersion,
  referencesAsset,
  renderState,
  streamState,
} from './persistence/world-reads.ts';
import type {
  ErasedPerson,
  Precondition,
  Saved,
  TenantCounts,
  WorldLog,
  WorldStore,
} from './persistence/world-stores.ts';
import {
  commitStage,
  deleteObject,
  patchObject,
  putObject,
  type WriteContext,
} from './persistence/world-writes.ts';
import type { SpaceState, Version } from './state/space-state.ts';
import { checkOperations } from './world/check-operations.ts';
import { readCursor, writeCursor } from './world/cursor.ts';
import { type MissingThing, notFound } from './world/errors.ts';
import type { EventAuthor } from './world/event.ts';
import { checkEvents } from './world/event-schema.ts';
import { readStateLines, type StateSource } from './world/read-state-lines.ts';
import {
  check,
  checkId,
  checkObject,
  checkObjectPatch,
  checkPageLimit,
  checkSpace,
  checkUser,
  userSearchSchema,
} from './world/schemas.ts';
import type { StateLine, StateView } from './world/state-lines.ts';
import type {
  ChatMessage,
  Page,
  Role,
  SaveMode,
  Seq,
  Space,
  SpaceInput,
  SpaceStatistics,
  User,
  WorldObject,
  WorldState,
} from './world/types.ts';
import { checkWorld } from './world/world-input.ts';

export type * from './persistence/world-stores.ts';

export interface PersistenceOptions {
  tenantId: string;
  /** The space of calls that name none. */
  spaceId: string;
  actor?: string | null;
  /** The id of the request that the calls belong to, for the audit. */
  requestId?: string;
  /**
   * For a caller who has one space and not its tenant. Such a caller creates no space and no person, and saves no people, models or
   * media with a world: these belong to the tenant.
   */
  withinSpace?: boolean;
  /** The role of such a caller; `editor` by default. */
  role?: Role;
  /** The principal whose budget and idempotency keys an append uses; null: none. */
  principal?: string | null;
  /** Keeps work going that no answer waits for. */
  defer?: (work: Promise<unknown>) => void;
  /** Reads an input before it is checked; by default nothing but the API's own forms is taken. */
  readInput?: (input: unknown) => unknown;
}

/** How operations are appended. */
export interface OperationsOptions extends Pick<AppendOptions, 'idempotency' | 'onBudget' | 'packsMoves'> {
  spaceId?: string | undefined;
  /** Answered when they have committed, with what became of each. */
  waits?: boolean;
}

interface Order {
  log: WorldLog;
  defer?: PersistenceOptions['defer'];
  /** The cached states, if the log is in a Redis. */
  state?: Pick<SpaceState, 'read' | 'waitUntilCommitted' | 'invalidateWhile'> | null;
  /** Absent: the one that was there stays. */
  events?: Pick<EventLog, 'append'>;
  /** The parts besides Postgres that erasing a person needs. */
  people?: People | null;
}

interface People {
  /** Null: there is no log in Redis. */
  redis: PersonParts | null;
  /** Deletes an object of the bucket that nothing names any more. Null: a sweep deletes it. */
  removeObject: ((tenantId: string, objectKey: string) => Promise<void>) | null;
}

interface InSpace {
  spaceId?: string | undefined;
}
interface InSpaceIf extends InSpace {
  precondition?: Precondition | undefined;
  /** Not waited for: where there is a log, this rejects with `write_queued` when the write is in it. */
  queues?: boolean;
}
interface PageOf {
  limit?: number | string | undefined;
  cursor?: string | undefined;
}

/**
 * The main interface to a tenant's worlds. It checks every input: an error is an `AppError` with `errors[] {path, message}`, and
 * nothing is written. When a promise resolves, the write has committed, unless the method says otherwise. A write that takes over 8 s
 * rejects with `write_queued`, and is applied all the same.
 */
export class PersistenceLayer {
  readonly #store: WorldStore;
  /** Shared by the layers of all tenants: `useLog` is for all of them. */
  readonly #order: Order;
  readonly #options: PersistenceOptions;
  readonly #read: (input: unknown) => unknown;

  constructor(store: WorldStore, log: WorldLog | Order, options: PersistenceOptions) {
    this.#store = store;
    this.#order = 'log' in log ? log : { log };
    this.#options = options;
    this.#read = options.readInput ?? ((input) => input);
  }

  /** From now on writes go through this log, and `defer` keeps going what they leave to be done; states are read by `state`. */
  useLog({ log, defer, state = null, events, people = null }: Order): void {
    Object.assign(this.#order, { log, defer, state, people, ...(events && { events }) });
  }

  /** The tenant and the space of calls that name none. */
  get defaults(): { tenantId: string; spaceId: string } {
    const { tenantId, spaceId } = this.#options;
    return { tenantId, spaceId };
  }

  /** Reaches the database, and makes the default tenant and space where they are not there yet. */
  async connect(): Promise<void> {
    await this.#store.ping();
    const { tenantId, spaceId } = this.#options;
    await this.#store.ensureTenant(tenantId);
    if ((await this.#store.loadSpace(tenantId, spaceId)) === null)
      await this.#makeSpace(tenantId, spaceId, { name: spaceId });
  }

  async disconnect(): Promise<void> {
    await this.#store.close();
  }

  /** Resolves when the database answers; throws `store_unavailable` when it does not. */
  async ping(): Promise<void> {
    await this.#store.ping();
  }

  /** The same layer for another tenant, its writes signed by `actor`. */
  forTenant(
    tenantId: string,
    actor: string | null,
    {
      withinSpace = false,
      ...rest
    }: Pick<PersistenceOptions, 'withinSpace' | 'role' | 'principal' | 'defer' | 'requestId'> = {},
  ): PersistenceLayer {
    return new PersistenceLayer(this.#store, this.#order, {
      ...this.#options,
      tenantId,
      actor,
      withinSpace,
      ...rest,
    });
  }

  /** Creates a space or gives it a new name, description, settings and bounds; what is absent is reset to its default. */
  async putSpace(spaceId: string, input: unknown): Promise<{ space: Space; created: boolean }> {
    const { tenantId, withinSpace } = this.#options;
    const [id, space] = [checkId(spaceId, '/space'), checkSpace(input)];
    const put = await this.#invalidateWhile(async () =>
      withinSpace
        ? { space: found('this space', await this.#store.updateSpace(tenantId, id, space)), created: false }
        : this.#makeSpace(tenantId, id, space),
    );
    if (!put.created) await this.#order.log.applySettings({ tenantId, spaceId: id }, put.space.settings);
    return put;
  }

  /** One that was deleted is made again only when its log is retired: Redis may not have heard of the deletion. */
  async #makeSpace(
    tenantId: string,
    spaceId: string,
    input: SpaceInput,
  ): Promise<{ space: Space; created: boolean }> {
    for (let retired: string | null = null; ; ) {
      const outcome = await this.#store.putSpace(tenantId, spaceId, input, retired);
      if (!('toRetire' in outcome)) return outcome;
      retired = outcome.toRetire;
      await this.#order.log.retire({ tenantId, spaceId }, retired);
    }
  }

  async getSpace(spaceId: string): Promise<Space> {
    return found(
      'this space',
      await this.#store.loadSpace(this.#options.tenantId, checkId(spaceId, '/space')),
    );
  }

  async listSpaces(page: PageOf = {}): Promise<Page<Space>> {
    const limit = checkPageLimit(page.limit);
    const after = readCursor(page.cursor);
    const { spaces, more } = await this.#store.listSpaces(this.#options.tenantId, limit, after);
    return { items: spaces, nextCursor: more ? writeCursor(spaces.at(-1)?.id ?? '') : null };
  }

  /** Hides the space and everything in it immediately; cleanup deletes the rows. */
  async deleteSpace(spaceId: string): Promise<void> {
    const address = { tenantId: this.#options.tenantId, spaceId: checkId(spaceId, '/space') };
    const { incarnation } = found(
      'this space',
      await this.#store.deleteSpace(address.tenantId, address.spaceId),
    );
    await this.#order.log.retire(address, incarnation);
  }

  async getObject(objectId: string, { spaceId }: InSpace = {}): Promise<WorldObject> {
    const id = checkId(objectId, '/id');
    return found(
      'this object in this space',
      await this.#store.loadObject(this.#options.tenantId, this.#space(spaceId), id),
    );
  }

  async listObjects(page: PageOf & InSpace = {}): Promise<Page<WorldObject>> {
    const limit = checkPageLimit(page.limit);
    const after = readCursor(page.cursor);
    const { tenantId } = this.#options;
    const space = this.#space(page.spaceId);
    const { objects, more } = found(
      'this space',
      await this.#store.listObjects(tenantId, space, limit, after),
    );
    return { items: objects, nextCursor: more ? writeCursor(objects.at(-1)?.id ?? '') : null };
  }

  /** Creates an object or replaces it. @param objectData an object as the API has it; its `spaceId` selects the space. */
  async saveObject(
    objectData: unknown,
    { spaceId, precondition = {}, queues }: InSpaceIf = {},
  ): Promise<{ object: WorldObject; created: boolean }> {
    const object = checkObject(this.#read(objectData));
    return putObject(this.#writeContext(spaceId ?? spaceOf(objectData), queues), object, precondition);
  }

  /** Changes the fields given; `properties` is an RFC 7396 merge patch. */
  async updateObject(
    objectId: string,
    updates: unknown,
    { spaceId, precondition = {}, queues }: InSpaceIf = {},
  ): Promise<WorldObject> {
    const id = checkId(objectId, '/id');
    const patch = checkObjectPatch(this.#read(updates));
    return patchObject(this.#writeContext(spaceId, queues), id, patch, precondition);
  }

  async deleteObject(
    objectId: string,
    { spaceId, precondition = {}, queues }: InSpaceIf = {},
  ): Promise<{ seq: Seq }> {
    const id = checkId(objectId, '/id');
    return deleteObject(this.#writeContext(spaceId, queues), id, precondition);
  }

  /**
   * Appends operations, `{ops: [{op, id, …}]}` as the API has them, to the space's order, all in one place of it. `queued`: they are in the
   * log, and will be committed; `committed`: they are in Postgres, and `results` says what became of each. `spilled`: Redis is away, and
   * they wait in Postgres for their place in the order.
   */
  async appendOperations(
    input: unknown,
    { spaceId, waits = false, ...append }: OperationsOptions = {},
  ): Promise<Queued | CommittedOperations | Spilled> {
    const checked = checkOperations(this.#read(input));
    const { withinSpace: isSession, actor, role = 'editor' } = this.#options;
    if (isSession) refuseForSession(checked, { actor, role });
    const { operations, callerIds, text } = nameMessages(checked, this.#person);
    const { log, target, options } = this.#writeContext(spaceId);
    const { idempotency = null } = append;
    const known =
      callerIds.length === 0
        ? idempotency
        : {
            key: idempotency?.key ?? null,
            messageIds: callerIds,
            // Another request, with another key, may post the same message.
            fingerprint: await fingerprint(text()),
          };
    const how = waits || log.commitsAlways ? 'commit' : 'enqueue';
    return log[how](target, operations, {
      ...options,
      ...append,
      idempotency: known,
      role: isSession ? role : null,
    });
  }

  /**
   * Posts a message: `{text, kind?, id?, userId?}`. The message gets an id of its own. A repeat with the same `id` within the time that
   * keys are kept returns the first message. @throws forbidden if the space's `settings.chat` does not allow it; rate_limited
   */
  async postMessage(input: unknown, { waits = true, ...options }: PostOptions = {}): Promise<PostedMessage> {
    return postMessage(input, this.#person, (operation) =>
      this.appendOperations({ ops: [operation] }, { waits, ...options }),
    );
  }

  /** Hides a message immediately; its row is deleted a week later. A session that is no owner deletes only messages of its person. */
  async deleteMessage(messageId: string, { spaceId, queues }: InSpaceIf = {}): Promise<{ seq: Seq }> {
    const id = checkId(messageId, '/id');
    const person = this.#options.role === 'owner' ? null : this.#person;
    return deleteMessage(this.#writeContext(spaceId, queues), this.#readContext(spaceId), id, person);
  }

  /** Messages, newest first. `before` and `after` are ids of messages, or seqs. It shows every acknowledged message. */
  async listMessages({ spaceId, ...page }: InSpace & ChatPage = {}): Promise<Page<ChatMessage>> {
    return listMessages(this.#readContext(spaceId), page);
  }

  /**
   * Takes events for analysts: `{events: [{id?, type, spaceId?, userId?, at?, data?}]}`. They are no part of any world. Under load they are
   * dropped, and so they are while no store takes them: the outcome counts them. @throws validation_failed; never because of load
   */
  async appendEvents(
    input: unknown,
    { author = null, nowMs = Date.now() }: { author?: EventAuthor | null; nowMs?: number } = {},
  ): Promise<EventCounts> {
    const events = checkEvents(this.#read(input), { nowMs, author });
    const { events: log, defer: deferAll } = this.#order;
    if (log === undefined) return { accepted: 0, duplicates: 0, dropped: events.length };
    const defer = this.#options.defer ?? deferAll ?? (() => undefined);
    return log.append(this.#options.tenantId, events, defer, author?.userId ?? null);
  }

  /** The only person in whose name this layer writes; null: any. */
  get #person(): string | null {
    return this.#options.withinSpace ? (this.#options.actor ?? null) : null;
  }

  /**
   * The whole world as it stood at one moment, or what `view` asks of it (a list that it leaves out is empty). A load that
   * fails is an error, never an empty world.
   */
  async loadWorldState(spaceId?: string, view: StateView = {}): Promise<WorldState & { rev: number }> {
    return loadState(this.#readContext(spaceId), view);
  }

  /** The same as JSON, without what `view` leaves out; `same` where the caller has that `version`. */
  async renderWorldState({
    spaceId,
    version = null,
    maxStaleMs = 0,
    ...view
  }: InSpace & StateView & { version?: Version | null; maxStaleMs?: number } = {}): ReturnType<
    typeof renderState
  > {
    return renderState(this.#readContext(spaceId), view, { version, maxStaleMs });
  }

  /**
   * The same line by line, a page of it held at a time: see `StateLine` for how the lines are read. `seq` and `rev` are the
   * version it begins with. The lines throw `state_unsettled` where the world is replaced while they are read; without the
   * last of them, `end`, they are not the whole.
   */
  async streamWorldState({ spaceId, ...view }: InSpace & StateView = {}): Promise<{
    seq: Seq;
    rev: number;
    /** Redis is away, so the lines may miss queued writes. */
    isProvisional: boolean;
    lines: AsyncGenerator<StateLine>;
  }> {
    return streamState(this.#readContext(spaceId), view);
  }

  /** Whether the state of a space shows a model or a media file. */
  async referencesAsset(kind: 'model' | 'media', id: string, { spaceId }: InSpace = {}): Promise<boolean> {
    return referencesAsset(this.#readContext(spaceId), kind, checkId(id, '/id'));
  }

  /** Runs a write to data that states show and no log holds. */
  async invalidateWhile<T>(tenantId: string, write: () => Promise<T>): Promise<T> {
    const { state } = this.#order;
    return state ? state.invalidateWhile(tenantId, write) : write();
  }

  /** The parts of a state's ETag, without the state. */
  async getStateVersion(spaceId?: string): Promise<{ seq: Seq; rev: number }> {
    return readVersion(this.#readContext(spaceId));
  }

  /**
   * Saves a whole world, all or nothing. Takes a `WorldState` or the backup of an in-memory server
   * (`{objects:{id:{…}}, models:{…}, chatHistory:[…]}`). `replace`: the given objects are the world, and the given `users` its avatars.
   * `merge`: the given objects are put and all others stay. In both modes, models, media and chat are put and never removed, because
   * they belong to the whole tenant.
   */
  async saveWorldState(
    worldState: unknown,
    { spaceId, mode = 'replace' }: InSpace & { mode?: SaveMode } = {},
  ): Promise<Saved> {
    const { withinSpace: isWithin, actor } = this.#options;
    const checked = checkWorld(this.#read(worldState));
    const world = isWithin ? readOwnParts(checked, actor) : checked;
    const context = this.#writeContext(spaceId ?? spaceOf(worldState));
    return commitStage(context, { ...staged(await this.#store.stageWorld(context.target, world)), mode });
  }

  /**
   * The same from lines as `streamWorldState` gives them, or their NDJSON in pieces, a chunk of it held at a time. Nothing is
   * saved without the line `end`. A path in an error begins with the line number: `/17/position/x`.
   */
  async saveWorldStream(
    source: StateSource,
    { spaceId, mode = 'replace' }: InSpace & { mode?: SaveMode } = {},
  ): Promise<Saved> {
    const { withinSpace: isWithin, actor } = this.#options;
    const lines = readStateLines(source);
    const items = isWithin ? withinSpace(lines, actor) : lines;
    const context = this.#writeContext(spaceId);
    return commitStage(context, {
      ...staged(await this.#store.stageWorldStream(context.target, items)),
      mode,
    });
  }

  async upsertUser(userData: unknown): Promise<User> {
    return (await this.putUser(userData)).user;
  }

  /** Makes a person known or gives them what is new; what is absent is reset to its default. */
  async putUser(userData: unknown): Promise<{ user: User; created: boolean }> {
    const { tenantId, withinSpace } = this.#options;
    const user = checkUser(userData);
    return this.#invalidateWhile(async () =>
      withinSpace
        ? { user: found('this person', await this.#store.updateUser(tenantId, user)), created: false }
        : this.#store.upsertUser(tenantId, user),
    );
  }

  /**
   * The people of the tenant, sorted by id. `search` is a prefix of the id, or a part of the display name in any case. One page looks at
   * `LIMITS.searchedPeopleMax` people, so a page may be empty and still have a `nextCursor`: the list goes on.
   */
  async listUsers({
    search = '',
    ...page
  }: PageOf & { search?: string | undefined } = {}): Promise<Page<User>> {
    const { users, next } = await this.#store.listUsers(this.#options.tenantId, {
      search: check(userSearchSchema, search, '/search'),
      limit: checkPageLimit(page.limit),
      after: readCursor(page.cursor),
    });
    return { items: users, nextCursor: next === null ? null : writeCursor(next) };
  }

  async getUser(userId: string): Promise<User> {
    return found('this person', await this.#store.loadUser(this.#options.tenantId, checkId(userId, '/id')));
  }

  /**
   * Erases a person from Postgres, Redis and the audit: row, memberships, avatars, sessions, messages, events. Their objects get a
   * pseudonym that leads back to nobody. Another process may write for some seconds what is under way: erasing again finds it.
   * @returns the numbers of erased rows and keys, by kind
   * @throws not_found if nothing is left of them; store_unavailable: a part may be erased, and the next call continues
   */
  async eraseUser(userId: string): Promise<ErasedPerson> {
    const { log, people = null, defer = ignore } = this.#order;
    const context = {
      ...{ log, tenantId: this.#options.tenantId, store: this.#store },
      parts: people?.redis ?? null,
      removeObject: people?.removeObject ?? null,
      defer: this.#options.defer ?? defer,
      invalidateWhile: <T>(write: () => Promise<T>) => this.#invalidateWhile(write, { erases: true }),
    };
    return erasePerson(context, checkId(userId, '/id'));
  }

  /**
   * All that is stored of a person, as the text of one JSON document in pieces. Queued writes are committed first. It ends with
   * `"complete": true`, unless it broke off.
   */
  async exportUser(
    userId: string,
    { now = Date.now }: { now?: () => number } = {},
  ): Promise<AsyncGenerator<string>> {
    const parts = this.#order.people?.redis ?? null;
    const { tenantId } = this.#options;
    return exportPerson({ store: this.#store, parts, tenantId, now }, checkId(userId, '/id'));
  }

  /** While the log cannot be reached, `seq` is where the database is. */
  async getSpaceStatistics(spaceId?: string): Promise<SpaceStatistics> {
    const address = { tenantId: this.#options.tenantId, spaceId: this.#space(spaceId) };
    const [lag, loaded] = await Promise.all([
      readLag(this.#order.log, address),
      this.#store.loadStatistics(address.tenantId, address.spaceId),
    ]);
    const statistics = found('this space', loaded);
    const seq = Math.max(lag.seq ?? 0, statistics.durableSeq);
    return { ...statistics, seq, durabilityLagMs: seq > statistics.durableSeq ? lag.durabilityLagMs : 0 };
  }

  /** Counts of the tenant over all its spaces. */
  async countTenant(): Promise<TenantCounts> {
    return this.#store.countTenant(this.#options.tenantId);
  }

  #space(spaceId: string | undefined): string {
    return spaceId === undefined ? this.#options.spaceId : checkId(spaceId, '/space');
  }

  /** Runs a write to data that states show and no log holds. */
  async #invalidateWhile<T>(write: () => Promise<T>, options?: { erases: boolean }): Promise<T> {
    const { state } = this.#order;
    return state ? state.invalidateWhile(this.#options.tenantId, write, options) : write();
  }

  #readContext(spaceId: string | undefined): ReadContext {
    const { tenantId, defer = this.#order.defer ?? ignore } = this.#options;
    const address = { tenantId, spaceId: this.#space(spaceId) };
    return { store: this.#store, state: this.#order.state ?? null, address, defer };
  }

  #writeContext(spaceId: string | undefined, queues = false): WriteContext {
    const { tenantId, actor = null, requestId, principal = null } = this.#options;
    const { withinSpace: isSession = false, defer = this.#order.defer ?? ignore } = this.#options;
    return {
      log: this.#order.log,
      queues,
      target: { tenantId, spaceId: this.#space(spaceId), actor, requestId, isSession },
      options: { principal, defer },
    };
  }
}

/** A process that lives on needs nothing to keep its work going. */
function ignore(): void {}

/** The space that a state or an object names itself, if it does. */
function spaceOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { spaceId, space } = value as { spaceId?: unknown; space?: { id?: unknown } | null };
  if (typeof spaceId === 'string') return spaceId;
  return typeof space === 'object' && typeof space?.id === 'string' ? space.id : undefined;
}

function staged(outcome: StagedWorld | 'unknown_space'): StagedWorld {
  return found('this space', outcome === 'unknown_space' ? null : outcome);
}

function found<T>(thing: MissingThing, value: T | null): T {
  if (value === null) throw notFound(thing);
  return value;
}
