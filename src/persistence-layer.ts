import { readCursor, writeCursor } from './world/cursor.ts';
import { AppError } from './world/errors.ts';
import { readStateLines, type StateSource } from './world/read-state-lines.ts';
import {
  checkId,
  checkObject,
  checkObjectPatch,
  checkPageLimit,
  checkSpace,
  checkUser,
} from './world/schemas.ts';
import {
  readView,
  STATE_PARTS,
  type StateLine,
  type StateView,
  type WorldItem,
  type WorldReader,
  type WorldSelection,
  writeStateLines,
} from './world/state-lines.ts';
import type {
  ObjectInput,
  ObjectPatch,
  Page,
  SaveMode,
  Seq,
  Space,
  SpaceInput,
  SpaceStatistics,
  User,
  UserInput,
  WorldInput,
  WorldObject,
  WorldState,
} from './world/types.ts';
import { checkWorld } from './world/world-input.ts';

/** What must be true of an object before a write, from If-Match and If-None-Match. */
export interface Precondition {
  /** The object's seq must be one of these. */
  ifSeq?: readonly Seq[];
  /** `true`: the object must exist (If-Match: *); `false`: it must not (If-None-Match: *). */
  ifExists?: boolean;
}

/** Where a write goes, and who is written down as its author. */
export interface WriteTarget {
  tenantId: string;
  spaceId: string;
  actor: string | null;
}

export type Refusal = 'unknown_space' | 'unknown_object' | 'precondition_failed';

export interface Saved {
  seq: Seq;
  objects: number;
}

/** What PersistenceLayer needs of a database. Every method is one transaction; `src/postgres` satisfies it. */
export interface WorldStore {
  ping(): Promise<void>;
  close(): Promise<void>;
  ensureTenant(tenantId: string): Promise<void>;
  putSpace(tenantId: string, spaceId: string, input: SpaceInput): Promise<{ space: Space; created: boolean }>;
  /** @returns null where there is no such space. */
  updateSpace(tenantId: string, spaceId: string, input: SpaceInput): Promise<Space | null>;
  loadSpace(tenantId: string, spaceId: string): Promise<Space | null>;
  listSpaces(tenantId: string, limit: number, after: string): Promise<{ spaces: Space[]; more: boolean }>;
  deleteSpace(tenantId: string, spaceId: string): Promise<boolean>;
  loadObject(tenantId: string, spaceId: string, objectId: string): Promise<WorldObject | null>;
  listObjects(
    tenantId: string,
    spaceId: string,
    limit: number,
    after: string,
  ): Promise<{ objects: WorldObject[]; more: boolean } | null>;
  putObject(
    target: WriteTarget,
    object: ObjectInput,
    precondition: Precondition,
  ): Promise<{ object: WorldObject; created: boolean } | Refusal>;
  patchObject(
    target: WriteTarget,
    objectId: string,
    patch: ObjectPatch,
    precondition: Precondition,
  ): Promise<WorldObject | Refusal>;
  deleteObject(
    target: WriteTarget,
    objectId: string,
    precondition: Precondition,
  ): Promise<{ seq: Seq } | Refusal>;
  loadWorld(
    tenantId: string,
    spaceId: string,
    selection: WorldSelection,
  ): Promise<(WorldState & { rev: number }) | null>;
  /** Reads as the parts are asked for; they may throw `state_unsettled` and `not_found`. */
  streamWorld(tenantId: string, spaceId: string, selection: WorldSelection): Promise<WorldReader | null>;
  saveWorld(target: WriteTarget, world: WorldInput, mode: SaveMode): Promise<Saved | Refusal>;
  /** The last item is `around`. */
  saveWorldStream(
    target: WriteTarget,
    items: AsyncIterable<WorldItem[]>,
    mode: SaveMode,
  ): Promise<Saved | Refusal>;
  upsertUser(tenantId: string, user: UserInput): Promise<{ user: User; created: boolean }>;
  /** @returns null where there is no such person. */
  updateUser(tenantId: string, user: UserInput): Promise<User | null>;
  loadUser(tenantId: string, userId: string): Promise<User | null>;
  /** @returns whether there was anything to erase. */
  eraseUser(tenantId: string, userId: string): Promise<boolean>;
  loadStatistics(tenantId: string, spaceId: string): Promise<SpaceStatistics | null>;
  countTenant(tenantId: string): Promise<TenantCounts>;
  /** The seq and rev of a state, without the state: what its ETag is made of. */
  loadStateVersion(tenantId: string, spaceId: string): Promise<{ seq: Seq; rev: number } | null>;
}

export interface TenantCounts {
  users: number;
  objects: number;
  models: number;
}

export interface PersistenceOptions {
  tenantId: string;
  /** The space of calls that name none. */
  spaceId: string;
  actor?: string | null;
  /**
   * For who has one space and not its tenant: no space and no person is made anew, and no people, models or media, which
   * are the tenant's, are saved with a world.
   */
  withinSpace?: boolean;
}

interface InSpace {
  spaceId?: string | undefined;
}
interface InSpaceIf extends InSpace {
  precondition?: Precondition | undefined;
}
interface PageOf {
  limit?: number | string | undefined;
  cursor?: string | undefined;
}

/**
 * The main door to a tenant's worlds. Inputs are checked here, whoever calls: what is wrong is an `AppError` with
 * `errors[] {path, message}`, and nothing is written. Every write has committed when its promise resolves.
 */
export class PersistenceLayer {
  readonly #store: WorldStore;
  readonly #options: PersistenceOptions;

  constructor(store: WorldStore, options: PersistenceOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Reaches the database, and makes the default tenant and space where they are not there yet. */
  async connect(): Promise<void> {
    await this.#store.ping();
    const { tenantId, spaceId } = this.#options;
    await this.#store.ensureTenant(tenantId);
    if ((await this.#store.loadSpace(tenantId, spaceId)) === null)
      await this.#store.putSpace(tenantId, spaceId, { name: spaceId });
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
    { withinSpace = false }: Pick<PersistenceOptions, 'withinSpace'> = {},
  ): PersistenceLayer {
    return new PersistenceLayer(this.#store, { ...this.#options, tenantId, actor, withinSpace });
  }

  /** Creates a space or gives it a new name, description, settings and bounds; what is absent is reset to its default. */
  async putSpace(spaceId: string, input: unknown): Promise<{ space: Space; created: boolean }> {
    const { tenantId, withinSpace } = this.#options;
    const [id, space] = [checkId(spaceId, '/space'), checkSpace(input)];
    if (!withinSpace) return this.#store.putSpace(tenantId, id, space);
    return { space: found(await this.#store.updateSpace(tenantId, id, space)), created: false };
  }

  async getSpace(spaceId: string): Promise<Space> {
    return found(await this.#store.loadSpace(this.#options.tenantId, checkId(spaceId, '/space')));
  }

  async listSpaces(page: PageOf = {}): Promise<Page<Space>> {
    const limit = checkPageLimit(page.limit);
    const after = readCursor(page.cursor);
    const { spaces, more } = await this.#store.listSpaces(this.#options.tenantId, limit, after);
    return { items: spaces, nextCursor: more ? writeCursor(spaces.at(-1)?.id ?? '') : null };
  }

  /** Hides the space and all in it at once; cleanup removes it for good. */
  async deleteSpace(spaceId: string): Promise<void> {
    if (!(await this.#store.deleteSpace(this.#options.tenantId, checkId(spaceId, '/space'))))
      throw notFound();
  }

  async getObject(objectId: string, { spaceId }: InSpace = {}): Promise<WorldObject> {
    const id = checkId(objectId, '/id');
    return found(await this.#store.loadObject(this.#options.tenantId, this.#space(spaceId), id));
  }

  async listObjects(page: PageOf & InSpace = {}): Promise<Page<WorldObject>> {
    const limit = checkPageLimit(page.limit);
    const after = readCursor(page.cursor);
    const { tenantId } = this.#options;
    const space = this.#space(page.spaceId);
    const { objects, more } = found(await this.#store.listObjects(tenantId, space, limit, after));
    return { items: objects, nextCursor: more ? writeCursor(objects.at(-1)?.id ?? '') : null };
  }

  /** Creates an object or replaces it whole. @param objectData an object as the API has it; `spaceId` in it is heeded. */
  async saveObject(
    objectData: unknown,
    { spaceId, precondition = {} }: InSpaceIf = {},
  ): Promise<{ object: WorldObject; created: boolean }> {
    const object = checkObject(objectData);
    const target = this.#target(spaceId ?? spaceOf(objectData));
    return accepted(await this.#store.putObject(target, object, precondition));
  }

  /** Changes the fields given; `properties` is an RFC 7396 merge patch. */
  async updateObject(
    objectId: string,
    updates: unknown,
    { spaceId, precondition = {} }: InSpaceIf = {},
  ): Promise<WorldObject> {
    const id = checkId(objectId, '/id');
    const patch = checkObjectPatch(updates);
    return accepted(await this.#store.patchObject(this.#target(spaceId), id, patch, precondition));
  }

  async deleteObject(
    objectId: string,
    { spaceId, precondition = {} }: InSpaceIf = {},
  ): Promise<{ seq: Seq }> {
    const id = checkId(objectId, '/id');
    return accepted(await this.#store.deleteObject(this.#target(spaceId), id, precondition));
  }

  /**
   * The whole world as it stood at one moment, or what `view` asks of it (a list that it leaves out is empty). A load that
   * fails is an error, never an empty world.
   */
  async loadWorldState(spaceId?: string, view: StateView = {}): Promise<WorldState & { rev: number }> {
    const { selection, include } = readView(view);
    const { tenantId } = this.#options;
    const state = found(await this.#store.loadWorld(tenantId, this.#space(spaceId), selection));
    for (const part of STATE_PARTS) if (!include.has(part)) state[part] = [];
    return state;
  }

  /**
   * The same line by line, a page of it held at a time: see `StateLine` for how the lines are read. `seq` and `rev` are the
   * version it begins with. The lines throw `state_unsettled` where the world is replaced while they are read; without the
   * last of them, `end`, they are not the whole.
   */
  async streamWorldState({ spaceId, ...view }: InSpace & StateView = {}): Promise<{
    seq: Seq;
    rev: number;
    lines: AsyncGenerator<StateLine>;
  }> {
    const { selection, include } = readView(view);
    const { tenantId } = this.#options;
    const { seq, rev, parts } = found(
      await this.#store.streamWorld(tenantId, this.#space(spaceId), selection),
    );
    return { seq, rev, lines: writeStateLines(parts, include) };
  }

  /** What a state's ETag is made of, without the state. */
  async getStateVersion(spaceId?: string): Promise<{ seq: Seq; rev: number }> {
    return found(await this.#store.loadStateVersion(this.#options.tenantId, this.#space(spaceId)));
  }

  /**
   * Saves a whole world, all or nothing. Takes a `WorldState` or the backup of an in-memory server
   * (`{objects:{id:{…}}, models:{…}, chatHistory:[…]}`). `replace`: the objects given are the world, and if `users` is
   * given they are its avatars; `merge`: what is given is put and the rest kept. Models, media and chat are put in
   * either mode and never removed, for they belong to more than this world's present.
   */
  async saveWorldState(
    worldState: unknown,
    { spaceId, mode = 'replace' }: InSpace & { mode?: SaveMode } = {},
  ): Promise<Saved> {
    const world = checkWorld(worldState);
    if (this.#options.withinSpace) refuseTenantParts(world);
    const target = this.#target(spaceId ?? spaceOf(worldState));
    return accepted(await this.#store.saveWorld(target, world, mode));
  }

  /**
   * The same from lines as `streamWorldState` gives them, or their NDJSON in pieces, a chunk of it held at a time. Nothing is
   * saved unless the line `end` has come. What is wrong has the line's number in its path: `/17/position/x`.
   */
  async saveWorldStream(
    source: StateSource,
    { spaceId, mode = 'replace' }: InSpace & { mode?: SaveMode } = {},
  ): Promise<Saved> {
    const items = this.#options.withinSpace ? withinSpace(readStateLines(source)) : readStateLines(source);
    return accepted(await this.#store.saveWorldStream(this.#target(spaceId), items, mode));
  }

  async upsertUser(userData: unknown): Promise<User> {
    return (await this.putUser(userData)).user;
  }

  /** Makes a person known or gives them what is new; what is absent is reset to its default. */
  async putUser(userData: unknown): Promise<{ user: User; created: boolean }> {
    const { tenantId, withinSpace } = this.#options;
    const user = checkUser(userData);
    if (!withinSpace) return this.#store.upsertUser(tenantId, user);
    return { user: found(await this.#store.updateUser(tenantId, user)), created: false };
  }

  async getUser(userId: string): Promise<User> {
    return found(await this.#store.loadUser(this.#options.tenantId, checkId(userId, '/id')));
  }

  /**
   * Erases a person: their row, memberships, avatars and sessions go, their messages stay without an author, and what
   * they made is signed with a pseudonym that nothing leads back from.
   */
  async eraseUser(userId: string): Promise<void> {
    if (!(await this.#store.eraseUser(this.#options.tenantId, checkId(userId, '/id')))) throw notFound();
  }

  async getSpaceStatistics(spaceId?: string): Promise<SpaceStatistics> {
    return found(await this.#store.loadStatistics(this.#options.tenantId, this.#space(spaceId)));
  }

  /** What the tenant holds over all its spaces. */
  async countTenant(): Promise<TenantCounts> {
    return this.#store.countTenant(this.#options.tenantId);
  }

  #space(spaceId: string | undefined): string {
    return spaceId === undefined ? this.#options.spaceId : checkId(spaceId, '/space');
  }

  #target(spaceId: string | undefined): WriteTarget {
    const { tenantId, actor = null } = this.#options;
    return { tenantId, spaceId: this.#space(spaceId), actor };
  }
}

/** The space that a state or an object names itself, if it does. */
function spaceOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { spaceId, space } = value as { spaceId?: unknown; space?: { id?: unknown } | null };
  if (typeof spaceId === 'string') return spaceId;
  return typeof space === 'object' && typeof space?.id === 'string' ? space.id : undefined;
}

async function* withinSpace(groups: AsyncIterable<WorldItem[]>): AsyncGenerator<WorldItem[]> {
  for await (const items of groups) {
    for (const item of items) if (item.kind === 'around') refuseTenantParts(item.around);
    yield items;
  }
}

/** @throws forbidden for what a world brings along that is not the space's own. */
function refuseTenantParts(world: Omit<WorldInput, 'objects'>): void {
  const parts = (['users', 'models', 'media'] as const).filter((part) => (world[part]?.length ?? 0) > 0);
  if (parts.length === 0) return;
  throw new AppError('forbidden', 'People, models and media belong to the tenant: a key may save them.', {
    errors: parts.map((part) => ({ path: `/${part}`, message: 'may only be saved with a key' })),
  });
}

function notFound(): AppError {
  return new AppError('not_found', 'There is no such thing here.');
}

function found<T>(value: T | null): T {
  if (value === null) throw notFound();
  return value;
}

function accepted<T extends object>(outcome: T | Refusal): T {
  if (typeof outcome === 'object') return outcome;
  if (outcome === 'precondition_failed')
    throw new AppError('precondition_failed', 'The object is not as the request requires it to be.');
  throw notFound();
}
