import { expect, it } from 'vitest';
import { type ListedObject, ObjectList } from './object-list.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function makeObject(n: number): ListedObject {
  const id = `o-${String(n).padStart(5, '0')}`;
  const position = { x: n, y: 0, z: 0 };
  return { id, name: n % 1_000 === 7 ? `Lamp ${n}` : null, position, updatedBy: null, updatedAt: '' };
}

/** A space of the server, whose cursor is the place in the list. */
function makeServer(total: number) {
  const asked: string[] = [];
  const server = {
    async call<Answer>(_method: string, path: string, options: object = {}): Promise<Answer> {
      asked.push(path);
      if (path.endsWith('/statistics')) return { objects: total } as Answer;
      const { limit, cursor } = (options as { query: { limit: number; cursor: string | null } }).query;
      const from = Number(cursor ?? 0);
      const count = Math.min(limit, total - from);
      const nextCursor = from + count < total ? String(from + count) : null;
      return { items: Array.from({ length: count }, (_, i) => makeObject(from + i)), nextCursor } as Answer;
    },
  };
  return { server, asked };
}

async function open(total: number) {
  const { server, asked } = makeServer(total);
  const list = new ObjectList(server, 'main', () => {});
  await list.count();
  list.search('');
  await settle();
  return { list, asked };
}

it('loads one page first, and has rows for all objects of the space', async () => {
  const { list, asked } = await open(20_000);
  expect([list.loadedCount, list.rowCount, asked.length]).toEqual([1_000, 20_000, 2]);
  expect([list.row(0)?.id, list.row(999)?.id, list.row(1_000)]).toEqual(['o-00000', 'o-00999', null]);
  expect(list.describe()).toBe('1,000 of 20,000 objects loaded. Scroll on to load more.');
});

it('loads further pages up to the row that somebody looks at, also the last one', async () => {
  const { list } = await open(20_000);
  list.want(900);
  await settle();
  expect(list.loadedCount).toBe(2_000);
  list.want(19_999);
  while (list.isLoading) await settle();
  expect([list.loadedCount, list.isEnded, list.row(19_999)?.id]).toEqual([20_000, true, 'o-19999']);
});

it('searches ids and names in all objects, and says how far it has searched', async () => {
  const { list } = await open(5_000);
  list.search('LAMP');
  expect(list.describe()).toBe('1 found by id and name in 1,000 of 5,000 objects. Searching…');
  while (list.isLoading) await settle();
  expect(Array.from({ length: list.rowCount }, (_, i) => list.row(i)?.name)).toEqual([
    'Lamp 7',
    'Lamp 1007',
    'Lamp 2007',
    'Lamp 3007',
    'Lamp 4007',
  ]);
  expect(list.describe()).toBe('5 found by id and name in 5,000 of 5,000 objects.');
  list.search('o-00042');
  expect([list.rowCount, list.row(0)?.id]).toEqual([1, 'o-00042']);
});

it('stops a search when the visible rows are full', async () => {
  const { list } = await open(20_000);
  list.search('o-');
  while (list.isLoading) await settle();
  expect(list.loadedCount).toBe(1_000);
});

it('shows a changed object, and no deleted one', async () => {
  const { list } = await open(10);
  list.replace('o-00003', { ...makeObject(3), name: 'New' });
  list.replace('o-00004', null);
  expect([list.row(3)?.name, list.row(4)?.id, list.rowCount]).toEqual(['New', 'o-00005', 9]);
});

it('says why it could not load', async () => {
  const list = new ObjectList(
    { call: () => Promise.reject(new Error('Postgres is away.')) },
    'main',
    () => {},
  );
  list.search('');
  await settle();
  expect([list.problem, list.isLoading]).toEqual(['Postgres is away.', false]);
});
