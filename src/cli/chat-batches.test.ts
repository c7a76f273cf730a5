import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../world/types.ts';
import { splitChat } from './chat-batches.ts';

describe('splitChat', () => {
  const chat = Array.from({ length: 10 }, (_, i) => ({ id: `m${i}`, text: 'x'.repeat(100) }));

  it('leaves a world alone whose messages fit into one save', () => {
    const world = { objects: [], chat };
    expect(splitChat(world, 4_096)).toEqual({ world, older: [] });
    expect(splitChat({ objects: [] }, 10)).toEqual({ world: { objects: [] }, older: [] });
  });

  it('gives every message once, the last ones with the world, and no batch above the limit', () => {
    const models = [{ id: 'm', url: '/m.glb', name: 'y'.repeat(150) }];
    const { world, older } = splitChat({ objects: [], models, chat }, 500);
    const last = world.chat as JsonObject[];
    expect(last.at(-1)).toEqual(chat.at(-1));
    expect([...older.toReversed().flat(), ...last]).toEqual(chat);
    for (const batch of older) expect(JSON.stringify(batch).length).toBeLessThanOrEqual(500);
    expect(JSON.stringify({ models, chat: last }).length).toBeLessThanOrEqual(520);
    expect(older.length).toBe(2);
  });

  it('reads the messages of a backup too', () => {
    const chatHistory = chat.map(({ id, text }) => ({ id, message: text }));
    const { world, older } = splitChat({ objects: { a: {} }, chatHistory }, 500);
    const texts = [...older.toReversed().flat(), ...(world.chat as JsonObject[])].map(({ text }) => text);
    expect(texts).toEqual(chat.map(({ text }) => text));
    expect(world.objects).toMatchObject([{ id: 'a' }]);
  });
});
