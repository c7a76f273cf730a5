import { and, asc, eq, inArray } from 'drizzle-orm';
import type { StagedWorld } from '../../log/log-stores.ts';
import type { WriteTarget } from '../../log/world-log.ts';
import { AppError } from '../../world/errors.ts';
import type { WorldItem } from '../../world/state-lines.ts';
import type { WorldInput } from '../../world/types.ts';
import { AuthorList } from '../author-list.ts';
import type { Postgres } from '../client.ts';
import { hasConstraint } from '../errors.ts';
import { worldObjects, worldStages } from '../schema/spaces.ts';
import {
  encodeAside,
  encodeObject,
  givenUp,
  openStage,
  readQueued,
  type StageQueries,
  sweepWorlds,
} from './stage.ts';

/**
 * Characters of objects that are held before they are staged. It is small, so that most memory of one chunk is free before the next
 * comes. Measured with 100,000 objects in workerd, see `npm run bench:stream`.
 */
const CHUNK_LENGTH_MAX = 500_000;

/**
 * Stages a whole world as it arrives, for the step of the space's order that will make it the space's. Whatever breaks
 * before the last item, the stage is given up.
 * @param items the last is `around`; an iteration that throws, or ends without it, stages nothing.
 * @throws validation_failed for an id given twice, at its line.
 */
export async function stageWorldStream(
  postgres: Postgres,
  target: WriteTarget,
  items: AsyncIterable<WorldItem[]>,
): Promise<StagedWorld | 'unknown_space'> {
  const staging = new Staging(postgres, target);
  try {
    let metadata: Omit<WorldInput, 'objects'> | null = null;
    for await (const group of items) {
      for (const item of group) {
        if (item.kind === 'metadata') metadata = item.metadata;
        else if ((await staging.take(item)) === 'unknown_space') return 'unknown_space';
      }
    }
    if (metadata === null) throw new AppError('internal', 'The world ended without its end.');
    const aside = encodeAside(metadata);
    if ((await staging.flush()) === 'unknown_space') return 'unknown_space';
    const { stageId, queue } = staging.queries;
    const [rows] = await postgres.inTenant(target.tenantId, (db) => [queue(db, aside)]);
    return readQueued(rows, stageId);
  } catch (error) {
    await staging.abandon();
    throw error;
  }
}

/** A world on its way in, and the chunk of it that is not staged yet. */
class Staging {
  readonly queries: StageQueries;
  readonly #postgres: Postgres;
  readonly #target: WriteTarget;
  #begun = false;
  /** Behind `moved`: what comes replaces what is staged. */
  #replaces = false;
  /** Records by id, in their order; null for an object that is gone. */
  #chunk = new Map<string, { line: number; record: string } | null>();
  #length = 0;
  /** Of the chunk. */
  #authors: AuthorList;

  constructor(postgres: Postgres, target: WriteTarget) {
    this.#postgres = postgres;
    this.#target = target;
    this.queries = openStage(target);
    this.#authors = new AuthorList(target.actor);
  }

  async take(item: Exclude<WorldItem, { kind: 'metadata' }>): Promise<'unknown_space' | undefined> {
    if (item.kind === 'moved') {
      const outcome = await this.flush();
      this.#replaces = true;
      return outcome;
    }
    if (item.kind === 'gone') {
      // Without `moved` before it, it still says what it says.
      if (!this.#replaces && (await this.take({ kind: 'moved' })) !== undefined) return 'unknown_space';
      this.#chunk.set(item.id, null);
      this.#length += item.id.length;
    } else {
      const { line, object } = item;
      if (!this.#replaces && this.#chunk.has(object.id)) throw givenTwice(line, object.id);
      const record = encodeObject(object, this.#authors);
      this.#chunk.set(object.id, { line, record });
      this.#length += record.length;
    }
    return this.#length >= CHUNK_LENGTH_MAX ? this.flush() : undefined;
  }

  /** Stages what is held, and begins the stage where nothing has been. */
  async flush(): Promise<'unknown_space' | undefined> {
    const { tenantId } = this.#target;
    const { begin, stage, unstage } = this.queries;
    if (!this.#begun) {
      const [[begun]] = await this.#postgres.inTenant(tenantId, (db) => [begin(db)]);
      if (begun?.done !== true) return 'unknown_space';
      this.#begun = true;
    }
    if (this.#chunk.size === 0) return undefined;
    const ids = this.#replaces ? [...this.#chunk.keys()] : [];
    const records = [...this.#chunk.values()].flatMap((item) => (item === null ? [] : [item.record]));
    try {
      const [, [staged]] = await this.#postgres.inTenant(tenantId, (db) => [
        unstage(db, ids),
        stage(db, `[${records.join(',')}]`, this.#authors),
      ]);
      if (staged?.done !== true) throw givenUp();
    } catch (error) {
      throw hasConstraint(error, OBJECT_KEY) ? await this.#findRepeat() : error;
    }
    this.#chunk = new Map();
    this.#authors = new AuthorList(this.#target.actor);
    this.#length = 0;
    return undefined;
  }

  /** Which object of the chunk was staged before. */
  async #findRepeat(): Promise<AppError> {
    const { tenantId, spaceId } = this.#target;
    const ids = [...this.#chunk.keys()];
    const [there] = await this.#postgres.inTenant(tenantId, (db) => [
      db
        .select({ id: worldObjects.objectId })
        .from(worldStages)
        .innerJoin(worldObjects, eq(worldObjects.world, worldStages.world))
        .where(
          and(
            eq(worldStages.tenantId, tenantId),
            eq(worldStages.stageId, this.queries.stageId),
            eq(worldStages.spaceId, spaceId),
            inArray(worldObjects.objectId, ids),
          ),
        )
        .orderBy(asc(worldObjects.objectId)),
    ]);
    const lines = there.map(({ id }) => ({ id, line: this.#chunk.get(id)?.line ?? 0 }));
    const first = lines.toSorted((a, b) => a.line - b.line)[0];
    return givenTwice(first?.line ?? 0, first?.id ?? '');
  }

  /** Gives up what was staged; where that fails too, it is swept when it is an hour old. */
  async abandon(): Promise<void> {
    if (!this.#begun) return;
    const { tenantId, spaceId } = this.#target;
    try {
      await this.#postgres.inTenant(tenantId, (db) => [
        db
          .delete(worldStages)
          .where(and(eq(worldStages.tenantId, tenantId), eq(worldStages.stageId, this.queries.stageId))),
      ]);
      await sweepWorlds(this.#postgres, tenantId, spaceId);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
    }
  }
}

const OBJECT_KEY = 'world_objects_world_object_id_pk';

function givenTwice(line: number, id: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', {
    errors: [{ path: `/${line}/id`, message: `appears more than once: ${id}` }],
  });
}
