import {
  createContext,
  createElement,
  type ReactNode,
  useCallback,
  useContext,
  useRef,
  useSyncExternalStore,
} from 'react';
import type { LiveMap, LiveMessage, LiveObject, LiveUser, PresentUser, World, WorldStatus } from './index.ts';

const WorldContext = createContext<World | null>(null);

/** Gives a world to all components below it. The caller connects and closes it. */
export function WorldProvider({ world, children }: { world: World; children?: ReactNode }): ReactNode {
  return createElement(WorldContext.Provider, { value: world }, children);
}

/** The world of the nearest `WorldProvider`. It never causes a render. @throws Error without one */
export function useWorld(): World {
  const world = useContext(WorldContext);
  if (world === null) throw new Error('useWorld must be used inside a <WorldProvider>.');
  return world;
}

/** `connecting`, `live`, `offline`, `unauthorized` or `closed`. */
export function useStatus(): WorldStatus {
  const world = useWorld();
  const read = () => world.status;
  return useSyncExternalStore(
    useCallback((listener) => world.on('status', listener), [world]),
    read,
    read,
  );
}

/** One object; undefined while it does not exist. Renders again only when this object changes. */
export function useObject(id: string): LiveObject | undefined {
  return useItem(useWorld().objects, id);
}

/** One person's avatar. Renders again only when this avatar changes. */
export function useUser(id: string): LiveUser | undefined {
  return useItem(useWorld().users, id);
}

/** The ids of all objects. Renders again only when objects enter or leave. */
export function useObjectIds(): readonly string[] {
  const { objects } = useWorld();
  return useList(
    objects,
    (map) => [...map.keys()],
    (map, listener) => joinAll(map.on('enter', listener), map.on('leave', listener)),
  );
}

/** All avatars. Renders again when one of them changes. */
export function useUsers(): readonly LiveUser[] {
  const { users } = useWorld();
  return useList(
    users,
    (map) => [...map.values()],
    (map, listener) =>
      joinAll(map.on('enter', listener), map.on('change', listener), map.on('leave', listener)),
  );
}

/** The people who are in the space now. */
export function usePresence(): readonly PresentUser[] {
  const { presence } = useWorld();
  const read = () => presence.users;
  return useSyncExternalStore(
    useCallback((listener) => presence.on('change', listener), [presence]),
    read,
    read,
  );
}

/** The newest 50 messages, oldest first, and a function that posts one. */
export function useChat(): { messages: readonly LiveMessage[]; say: World['say'] } {
  const world = useWorld();
  const read = () => world.chat.messages;
  const messages = useSyncExternalStore(
    useCallback((listener) => world.chat.on('change', listener), [world]),
    read,
    read,
  );
  const say = useCallback<World['say']>((...args) => world.say(...args), [world]);
  return { messages, say };
}

function useItem<Item>(map: LiveMap<Item>, id: string): Item | undefined {
  const read = () => map.get(id);
  return useSyncExternalStore(
    useCallback((listener) => map.watch(id, listener), [map, id]),
    read,
    read,
  );
}

/** A list that is the same value until `subscribe` tells of a change. */
function useList<Source, Item>(
  source: Source,
  list: (source: Source) => Item[],
  subscribe: (source: Source, listener: () => void) => () => void,
): readonly Item[] {
  const known = useRef<{ source: Source; items: readonly Item[] } | null>(null);
  const read = () => {
    if (known.current?.source !== source) known.current = { source, items: list(source) };
    return known.current.items;
  };
  const listen = useCallback(
    (listener: () => void) => {
      // Items may have come between the render and this call.
      known.current = null;
      let isDue = false;
      return subscribe(source, () => {
        known.current = null;
        // Once for all events of one change: a world of 20,000 objects is loaded in one.
        if (!isDue)
          queueMicrotask(() => {
            isDue = false;
            listener();
          });
        isDue = true;
      });
    },
    [source],
  );
  return useSyncExternalStore(listen, read, read);
}

function joinAll(...ends: (() => void)[]): () => void {
  return () => {
    for (const end of ends) end();
  };
}
