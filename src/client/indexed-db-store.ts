import { createStore, promisifyRequest } from 'idb-keyval';
import { createKey } from './create-key.ts';
import type { OutboxRecord, OutboxStore } from './outbox-store.ts';

/**
 * Keeps operations in IndexedDB, so that they survive a closed tab. Each tab has its own records, and holds a Web Lock while it lives.
 * A tab that gets the lock of another tab takes over the
 * records of that tab: it has ended.
 * @param name of the outbox: clients with the same name send in the name of the same person to the same space
 * @returns null where there is no IndexedDB or no Web Locks
 */
export function createIndexedDbStore(name: string): OutboxStore | null {
  if (typeof indexedDB === 'undefined' || typeof navigator === 'undefined' || !navigator.locks) return null;
  const tab = createKey();
  const database = createStore(`worldkeep ${name}`, 'outbox');
  const released = Promise.withResolvers<void>();
  const lockOf = (other: string) => `worldkeep ${name} ${other}`;
  const ofTab = (other: string) => IDBKeyRange.bound([other, 0], [other, Number.MAX_SAFE_INTEGER]);

  const write = (set: OutboxRecord[], remove: number[]) =>
    database('readwrite', (store) => {
      for (const n of remove) store.delete([tab, n]);
      for (const record of set) store.put(record, [tab, record.n]);
      return promisifyRequest(store.transaction);
    });

  async function take(other: string, next: number): Promise<OutboxRecord[]> {
    return database('readwrite', async (store) => {
      const records: OutboxRecord[] = await promisifyRequest(store.getAll(ofTab(other)));
      store.delete(ofTab(other));
      let n = next;
      const taken = records.map((record) => {
        const moved = { ...record, n };
        n += record.ops.length;
        return moved;
      });
      for (const record of taken) store.put(record, [tab, record.n]);
      await promisifyRequest(store.transaction);
      return taken;
    });
  }

  async function adopt(next: number): Promise<OutboxRecord[]> {
    const keys = await database('readonly', (store) => promisifyRequest(store.getAllKeys()));
    // Tab names rise with time, so older tabs come first.
    const others = new Set(keys.map((key) => (key as [string, number])[0]));
    const taken: OutboxRecord[] = [];
    for (const other of others) {
      if (other === tab) continue;
      await navigator.locks.request(lockOf(other), { ifAvailable: true }, async (lock) => {
        if (lock !== null)
          taken.push(...(await take(other, next + taken.reduce((sum, { ops }) => sum + ops.length, 0))));
      });
    }
    return taken;
  }

  return {
    async open() {
      await new Promise<void>((resolve, reject) => {
        navigator.locks
          .request(lockOf(tab), () => {
            resolve();
            return released.promise;
          })
          .catch(reject);
      });
      return adopt(1);
    },
    write,
    adopt,
    close: () => released.resolve(),
  };
}
