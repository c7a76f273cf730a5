import { anyOperation, Chance, OBJECT_IDS } from '../../../test/log/chance.ts';
import { connect, type OutboxStore, type World } from '../index.ts';
import type { OutboxRecord } from '../outbox-store.ts';
import { makeFaultyNetwork } from './faulty-fetch.ts';
import { describeState, describeWorld, type Place } from './place.ts';

/** The outcome of a history. */
export interface HistoryOutcome {
  /** Where a client differs from the server; null: nowhere. */
  difference: string | null;
  operations: number;
  refused: number;
  faults: Record<string, number>;
}

interface Client {
  world: World;
  store: { records: Map<number, OutboxRecord> };
}

const STEPS = 25;
const SETTLE_MS_MAX = 60_000;

/** A store that outlives its client, as IndexedDB outlives a page. */
export function makeSharedStore(): { open(): OutboxStore; records: Map<number, OutboxRecord> } {
  const records = new Map<number, OutboxRecord>();
  return {
    records,
    open: () => {
      let isOpen = true;
      return {
        open: async () => [...records.values()].sort((a, b) => a.n - b.n),
        async write(set, remove) {
          // A page that has gone writes no more.
          if (!isOpen) return;
          for (const n of remove) records.delete(n);
          for (const record of set) records.set(record.n, structuredClone(record));
        },
        close() {
          isOpen = false;
        },
      };
    },
  };
}

/**
 * Three clients change one space through a network that fails at random. Pages are reloaded, and the world is replaced. Then the
 * network is repaired. Each client must show the state of the server, and each message must be there once.
 * @param readUrl the current address of the server, which a caller may kill and start again
 */
export async function runHistory(seed: number, place: Place, readUrl: () => string): Promise<HistoryOutcome> {
  const chance = new Chance(seed);
  const rate = chance.pick([0.05, 0.2, 0.4]);
  const people = ['ann', 'bob', 'cem'];
  const said: string[] = [];
  const lost = new Set<string>();
  let [operations, refused] = [0, 0];
  const clients = await Promise.all(
    people.map(async (name) => {
      const token = await place.join(name);
      const network = makeFaultyNetwork(new Chance(chance.below(2 ** 32)), readUrl, rate);
      const store = makeSharedStore();
      const open = (): World => {
        const world = connect({
          url: place.url,
          space: place.space,
          token,
          batchMs: chance.below(20),
          batchMax: 1 + chance.below(20),
          durability: chance.pick(['queued', 'committed']),
          store: store.open(),
          fetch: network.fetch,
        });
        world.on('refused', (_, operation) => {
          refused++;
          if (operation.op === 'chat.post') lost.add(operation.text);
        });
        return world;
      };
      return { name, network, store, open, world: open() };
    }),
  );

  // Most worlds are live when the changes begin.
  if (chance.is(0.8)) await Promise.all(clients.map(({ world }) => world.ready));
  for (let step = 0; step < STEPS; step++) {
    const client = chance.pick(clients);
    const { world, name } = client;
    const kind = chance.below(100);
    if (kind < 4) {
      // The page is reloaded: only its store survives.
      await world.close({ timeoutMs: 0 });
      client.world = client.open();
    } else if (kind < 5) await replaceWorld(place, chance);
    else if (kind < 12 && said.length < 20) {
      const text = `${seed} ${name} ${said.length}`;
      said.push(text);
      operations++;
      world.say(text);
    } else {
      operations++;
      makeChange(world, chance);
    }
    if (chance.is(0.5)) await new Promise((resolve) => setTimeout(resolve, chance.below(15)));
  }
  for (const { network } of clients) network.repair();
  try {
    const difference = await settle(place, clients);
    const shown = clients[0]?.world.chat.messages.map(({ text }) => text) ?? [];
    const wrong = said.filter(
      (text) => shown.filter((other) => other === text).length !== (lost.has(text) ? 0 : 1),
    );
    const faults: Record<string, number> = {};
    for (const { network } of clients)
      for (const [fault, count] of Object.entries(network.faults))
        faults[fault] = (faults[fault] ?? 0) + count;
    return {
      difference:
        difference ??
        (wrong.length > 0 ? `messages lost or doubled: ${wrong.join()} in ${shown.join()}` : null),
      operations,
      refused,
      faults,
    };
  } finally {
    await Promise.all(clients.map(({ world }) => world.close({ timeoutMs: 0 })));
  }
}

function makeChange(world: World, chance: Chance): void {
  const seqs = [...world.objects.values()].map(({ seq }) => seq);
  const operation = anyOperation(chance, seqs);
  switch (operation.op) {
    case 'put':
    case 'patch': {
      const { op, id, ...fields } = operation;
      if (op === 'put') world.put(id, fields as Parameters<World['put']>[1]);
      else world.patch(id, fields as Parameters<World['patch']>[1]);
      return;
    }
    case 'delete':
      world.delete(operation.id, operation.ifSeq === undefined ? {} : { ifSeq: operation.ifSeq });
      return;
    default:
      if (chance.is(0.5)) world.moveAvatar({ position: { x: chance.below(9), y: 0, z: 0 } });
      else world.move(chance.pick(OBJECT_IDS), { position: { x: chance.below(9), y: 1, z: 0 } });
  }
}

async function replaceWorld(place: Place, chance: Chance): Promise<void> {
  const objects = { [chance.pick(OBJECT_IDS)]: { name: 'saved' }, saved: {} };
  // The server may be down: then nothing is replaced.
  await place.call('PUT', `/v1/spaces/${place.space}/state`, { objects }).catch(() => undefined);
}

/** Waits until every client has sent everything and shows the state. @returns the difference that stays; null: none */
async function settle(place: Place, clients: Client[]): Promise<string | null> {
  const deadline = Date.now() + SETTLE_MS_MAX;
  for (;;) {
    const difference = await compare(place, clients).catch((error: unknown) => String(error));
    if (difference === null || Date.now() > deadline) return difference;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function compare(place: Place, clients: Client[]): Promise<string | null> {
  for (const { world, store } of clients) {
    if (world.unsent > 0)
      return `${world.userId} has ${world.unsent} unsent changes, status ${world.status}: ${world.error?.message}`;
    if (store.records.size === 0) continue;
    // The Worker may have died during a drain. A write that waits for its commit drains again.
    await place.call('PUT', `/v1/spaces/${place.space}/objects/end`, {});
    return `the store of ${world.userId} is not empty`;
  }
  const seqs = clients.map(({ world }) => world.seq);
  if (new Set(seqs).size > 1) return `the clients have reached different seqs: ${seqs.join()}`;
  const state = sortText(describeState(await place.state()));
  for (const { world } of clients) {
    const shown = sortText(describeWorld(world));
    if (shown !== state) return `${world.userId} shows\n${shown}\nand the server has\n${state}`;
  }
  return null;
}

/** JSON with sorted members. */
function sortText(value: unknown): string {
  return JSON.stringify(value, (_, item) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
