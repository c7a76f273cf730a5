import { afterEach, expect } from 'vitest';
import { type ConnectOptions, connect, type World, type WorldkeepError } from '../index.ts';
import { describeState, describeWorld, type Place } from './place.ts';

/** Connects clients, and closes them after each test. */
export function useClients(): (place: Place, options?: Partial<ConnectOptions>) => World {
  const open = new Set<World>();
  afterEach(async () => {
    await Promise.all([...open].map((world) => world.close({ timeoutMs: 0 })));
    open.clear();
  });
  return ({ url, space, key }, options) => {
    const world = connect({ url, space, token: key, batchMs: 5, ...options });
    open.add(world);
    return world;
  };
}

/** Resolves when the server has every operation, and the mirrors show its state. */
export async function expectSame(place: Place, ...worlds: World[]): Promise<void> {
  const until = { timeout: 10_000 };
  for (const world of worlds) await expect.poll(() => world.unsent, until).toBe(0);
  const state = describeState(await place.state());
  for (const world of worlds) await expect.poll(() => describeWorld(world), until).toEqual(state);
}

export function nextError(world: World): Promise<WorldkeepError> {
  return new Promise((resolve) => world.on('error', resolve));
}
