import { readEntry } from '../log/log-reader.ts';
import type { LogAddress } from '../log/log-stores.ts';
import { WorldView } from '../world/world-view.ts';
import type { StateParts } from './state-parts.ts';
import type { KeptWorld, StateReply } from './state-stores.ts';

/** An older one is renewed from Postgres: were what is folded ever to differ from that, then for no longer. */
const FOLDED_MS_MAX = 600_000;

/**
 * Brings a space's snapshot to where Postgres is, by the log between. By one at a time.
 * @throws store_unavailable
 */
export async function renewSnapshot(
  parts: StateParts,
  address: LogAddress,
  incarnation: string,
): Promise<void> {
  const { store } = parts;
  if (!(await store.beginRenewing(address, incarnation))) return;
  try {
    await renew(parts, address);
  } finally {
    await store.endRenewing(address, incarnation);
  }
}

async function renew({ store, loader, options }: StateParts, address: LogAddress): Promise<void> {
  const token = options.createToken();
  const request = { held: null, metadataId: 'own', version: null, atLeast: 0, hits: 0, misses: 0 } as const;
  const reply = await store.read(address, { ...request, token });
  if (reply.status === 'cold' || reply.status === 'deleted')
    return reply.isChosen ? store.endLoading(address, reply.incarnation, token) : undefined;
  if (reply.status !== 'state' && reply.status !== 'missing') return;
  const { incarnation, marks } = reply;
  // A deleted snapshot is written again, with the full time to live.
  const isRenewed = reply.status === 'state';
  // Another reader loads it anyway, or the loaded world may not be cached.
  if (reply.status === 'missing' && !reply.isChosen) return;
  try {
    if (marks.isErasing) return;
    const folded = reply.status === 'state' ? foldKept(reply, address, options.now()) : null;
    const world = folded ?? (await load());
    // Postgres is where it was.
    if (world === null || (reply.status === 'state' && world === folded && world.seq === reply.snapshot?.seq))
      return;
    const isTooLarge = world !== 'too_large' && countCharacters(world) > options.worldCharactersMax;
    if (world === 'too_large' || isTooLarge) await store.keepLarge(address, incarnation, reply.committed);
    else await store.keepWorld(address, incarnation, { world, marks, token: null, isRenewed });
  } finally {
    if (reply.status === 'missing') await store.endLoading(address, incarnation, token);
  }

  async function load(): Promise<KeptWorld | 'too_large' | null> {
    const loaded = await loader.loadWorld(address, options.worldCharactersMax);
    if (loaded === null || loaded === 'too_large') return loaded;
    const { seq, objects, avatars, chat } = loaded;
    return { seq, objects, avatars, chat, loadedMs: options.now() };
  }
}

function countCharacters({ objects }: KeptWorld): number {
  let characters = 0;
  for (const text of objects.values()) characters += text.length;
  return characters;
}

/** @returns the kept world as Postgres has it, or null where that is to be read from there */
function foldKept(
  { snapshot, entries, committed }: Extract<StateReply, { status: 'state' }>,
  { spaceId }: LogAddress,
  nowMs: number,
): KeptWorld | null {
  if (snapshot === null || nowMs - snapshot.loadedMs > FOLDED_MS_MAX) return null;
  const view = new WorldView({ spaceId, ...snapshot }, snapshot.objects, snapshot.avatars, snapshot.chat);
  const { status } = view.fold(entries.filter(({ seq }) => seq <= committed).map(readEntry));
  if (status === 'reload') return null;
  const { seq, loadedMs, avatars } = view;
  return { seq, loadedMs, avatars, chat: view.chat.keep(), objects: new Map(view.listEntries()) };
}
