import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { openTestPg } from '../../test/layers.ts';
import { makeLogSpace } from '../../test/log-space.ts';
import { findNoEffects } from '../world/no-effects.ts';
import type { LogEntry, Operation } from '../world/operation.ts';
import { findAsked, planBatch } from '../world/plan-batch.ts';
import { type ReplayObject, type ReplayWorld, replayEntry } from '../world/replay.ts';
import type { Seq, WorldObject } from '../world/types.ts';

const postgres = openTestPg();
afterAll(() => postgres.close());

const IDS = ['a', 'b', 'NULL'];
const number = fc.integer({ min: -100, max: 100 });
const position = fc.record({ x: number, y: number, z: number });
const properties = fc.dictionary(
  fc.constantFrom('k', 'l'),
  fc.oneof(number, fc.constant(null), fc.dictionary(fc.constantFrom('m', 'n'), fc.option(number))),
);
const name = fc.option(fc.constantFrom('', 'x', '"\\{},NULL'));
// Seqs of entries are counted from the cursor: 0 is that the object is not there.
const condition = fc.record(
  { ifSeq: fc.oneof(fc.nat(8), fc.array(fc.nat(8), { maxLength: 3 })), ifExists: fc.boolean() },
  { requiredKeys: [] },
);
const operation = fc.oneof(
  fc.tuple(fc.record({ position, name, properties }, { requiredKeys: [] }), fc.constant('put' as const)),
  fc.tuple(
    fc.record(
      { position: fc.record({ x: number, z: number }, { requiredKeys: [] }), name, properties },
      { requiredKeys: [] },
    ),
    fc.constant('patch' as const),
  ),
  fc.tuple(fc.record({}), fc.constant('delete' as const)),
);
const objectOperation = fc
  .tuple(fc.constantFrom(...IDS), operation, fc.option(condition, { freq: 3, nil: {} }))
  .map(([id, [fields, op], when]) => ({ op, id, ...fields, ...when }) as Operation);
const userOperation = fc
  .tuple(fc.constantFrom('ann', 'nobody'), fc.record({ position, properties }, { requiredKeys: [] }))
  .map(([id, fields]) => ({ op: 'user.patch', id, ...fields }) as Operation);
const history = fc.array(
  fc.record({
    actor: fc.constantFrom(null, 'ann', 'bob'),
    ops: fc.array(fc.oneof({ weight: 6, arbitrary: objectOperation }, userOperation), {
      minLength: 1,
      maxLength: 5,
    }),
    // Where a batch ends behind it, and whether that batch is applied one by one.
    ends: fc.boolean(),
    apart: fc.boolean(),
    // Whether its caller needs the object, which an entry of one operation can give.
    returnsObject: fc.boolean(),
    waits: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);

/** The content of either world, without the times of rows. */
function show(objects: object[], avatars: object[]) {
  const sort = (items: object[]) =>
    items.map((item) => item as { id: string }).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return { objects: sort(objects), avatars: sort(avatars) };
}

it('a log applied in batches, by rows or one by one, is the log replayed, with its results', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const space = await makeLogSpace(postgres);
      const { store, world, address } = space;
      await world.upsertUser(address.tenantId, {
        id: 'ann',
        displayName: 'A',
        avatarUrl: null,
        properties: {},
      });
      const base = space.cursor;
      const toSeq = (n: number) => (n === 0 ? 0 : base + n);
      const entries = steps.map(({ actor, ops, returnsObject, waits }, i): LogEntry => {
        const atSeqs = ops.map((op) => {
          if (!('ifSeq' in op) || op.ifSeq === undefined) return op;
          return { ...op, ifSeq: typeof op.ifSeq === 'number' ? toSeq(op.ifSeq) : op.ifSeq.map(toSeq) };
        });
        const entry = { seq: base + i + 1, prev: base + i, actor, ops: atSeqs, waits };
        return { ...entry, returnsObject: waits && returnsObject && ops.length === 1 };
      });
      const replayed: ReplayWorld = {
        objects: new Map(),
        avatars: new Map(),
        removed: new Map(),
        people: new Set(['ann']),
      };
      const left = new Map<Seq, ReplayObject | undefined>();
      const expected = new Map(
        entries.map((entry) => {
          const results = replayEntry(replayed, entry);
          const { op, id } = entry.ops[0] ?? {};
          const isLeft = op !== 'delete' && op !== 'user.patch' && results[0]?.status === 'applied';
          if (entry.returnsObject)
            left.set(entry.seq, isLeft ? structuredClone(replayed.objects.get(id ?? '')) : undefined);
          return [entry.seq, results];
        }),
      );

      let batch: LogEntry[] = [];
      for (const [i, entry] of entries.entries()) {
        batch.push(entry);
        const step = steps[i];
        if (step?.ends !== true && i < entries.length - 1) continue;
        const { seqs } = await store.loadSeqs(address, findAsked(batch));
        const all = { objects: new Set(IDS), users: new Set(['ann', 'nobody']), messages: new Set<string>() };
        const none = { objects: new Set<string>(), users: new Set<string>(), messages: new Set<string>() };
        const plan = planBatch(batch, seqs, { rowsMax: 1_000, apart: step?.apart ? all : none });
        const outcome = await space.apply({ ...plan, to: entry.seq });
        const names = findNoEffects(batch, plan, outcome).map(
          ({ seq, index, id, status }) => `${seq} ${index} ${id} ${status}`,
        );
        const expectedNames = batch.flatMap(({ seq }) =>
          (expected.get(seq) ?? []).flatMap(({ id, status }, index) =>
            status === 'applied' ? [] : [`${seq} ${index} ${id} ${status}`],
          ),
        );
        expect(names.toSorted()).toEqual(expectedNames.toSorted());
        batch = [];
      }
      const results = await store.readResults(address, base + 1, space.cursor);
      const waited = new Set(entries.flatMap(({ seq, waits }) => (waits ? [seq] : [])));
      expect(results).toEqual(new Map([...expected].filter(([seq]) => waited.has(seq))));
      for (const [seq, object] of left) {
        const written = await store.readWritten(address, seq);
        const { spaceId, createdAt, updatedAt, ...shown } = written?.object ?? ({} as WorldObject);
        expect({ ...shown, ...(written && { createdSeq: written.createdSeq }) }).toEqual(object ?? {});
      }
      const objects = await store.loadObjects(address, IDS);
      const avatars = await store.loadAvatars(address, ['ann', 'nobody']);
      const shown = objects.map(({ spaceId, createdAt, updatedAt, ...object }) => object);
      const created = [...replayed.objects.values()].map(({ createdSeq, ...object }) => object);
      const bodies = [...replayed.avatars.values()].map(({ seq, ...avatar }) => avatar);
      expect(show(shown, avatars)).toEqual(show(created, bodies));
    }),
    { numRuns: 40 },
  );
});
