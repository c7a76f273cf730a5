import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import type { LiveSource } from '../live/live-stores.ts';
import { liveChannel } from './keys.ts';

/** The messages that one subscriber has received. */
function listen() {
  const heard: string[] = [];
  const ends = { count: 0 };
  return {
    heard,
    ends,
    handlers: {
      onMessage: (text: string) => void heard.push(text),
      onEnd: () => {
        ends.count++;
      },
    },
  };
}

describe.each(REDIS_WAYS)('what is published: %s', (_, openWay) => {
  const { openSpace, redis, way } = useLogs(openWay);
  let live: LiveSource & { close(): void };
  beforeAll(() => {
    live = way().openLive();
  });
  afterAll(() => live.close());

  const countSubscribers = async (channel: string) => {
    const [, count] = (await redis().command('PUBSUB', 'NUMSUB', channel)) as [string, number];
    return count;
  };

  it('[R1] is heard from the acknowledgement on, each once and in its order, whatever is in it', async () => {
    const { address, opened, add } = await openSpace();
    await add({ actor: 'before' });
    const { heard, handlers } = listen();
    const subscription = await live.subscribe(address, opened.incarnation, handlers);
    const long = `[{"op":"delete","id":"${'ü🌍,'.repeat(25_000)}"}]`;
    const expected: string[] = [];
    for (let i = 0; i < 20; i++) {
      const ops = i === 10 ? long : `[{"op":"delete","id":"o${i}"}]`;
      const { seq, after } = await add({ actor: i % 2 === 0 ? null : 'ann', entries: [{ ops, count: 1 }] });
      expect(after).toBeNull();
      expected.push(`"actor":${i % 2 === 0 ? 'null' : '"ann"'},"ops":${ops}}`);
      expect(seq).toBeGreaterThan(0);
    }
    await expect.poll(() => heard.length).toBe(20);
    expect(heard.map((text) => text.replace(/^\{"seq":\d+,"prev":\d+,/, ''))).toEqual(expected);
    subscription.close();
  });

  it('[R1] is heard by all who follow, and by none who has left', async () => {
    const { address, opened, add } = await openSpace();
    const channel = liveChannel(address, opened.incarnation);
    const [one, other] = [listen(), listen()];
    const [first, second] = await Promise.all(
      [one, other].map(({ handlers }) => live.subscribe(address, opened.incarnation, handlers)),
    );
    await add();
    await expect.poll(() => [one.heard.length, other.heard.length]).toEqual([1, 1]);
    first?.close();
    await add();
    await expect.poll(() => other.heard.length).toBe(2);
    expect(one.heard).toHaveLength(1);
    second?.close();
    await expect.poll(() => countSubscribers(channel)).toBe(0);
    expect([one.ends.count, other.ends.count]).toEqual([0, 0]);
  });

  it('[R1c] ends when the connection is cut, and works again after subscribing again', async () => {
    const { address, opened, add } = await openSpace();
    const { heard, ends, handlers } = listen();
    await live.subscribe(address, opened.incarnation, handlers);
    way().cutLive();
    await expect.poll(() => ends.count).toBe(1);
    await expect(live.subscribe(address, opened.incarnation, handlers)).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    way().mendLive();
    await expect
      .poll(() =>
        live.subscribe(address, opened.incarnation, handlers).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    await add();
    await expect.poll(() => heard.length).toBe(1);
    expect(ends.count).toBe(1);
  });

  it('[R1] says how far Postgres has committed the log, once for each seq', async () => {
    const { address, opened, add, settle } = await openSpace();
    const { heard, handlers } = listen();
    const subscription = await live.subscribe(address, opened.incarnation, handlers);
    const [first, second] = [(await add()).seq, (await add()).seq];
    // The second settle is a retry, and the third comes from a drain that was slow.
    for (const seq of [first, first, opened.cursor, second, second]) await settle(seq);
    const last = (await add()).seq;
    await expect.poll(() => heard.at(-1)).toContain(`{"seq":${last},`);
    expect(heard.slice(2, -1)).toEqual([`{"committed":${first}}`, `{"committed":${second}}`]);
    subscription.close();
  });

  it('[R1] says nothing about commits of a deleted space or of another incarnation', async () => {
    const { address, opened, add, settle, log } = await openSpace();
    const [current, other] = [listen(), listen()];
    const subscriptions = await Promise.all([
      live.subscribe(address, opened.incarnation, current.handlers),
      live.subscribe(address, 'another', other.handlers),
    ]);
    const { seq } = await add();
    await settle(seq, { incarnation: 'another' });
    await log.retire(address, opened.incarnation);
    await settle(seq);
    await redis().command('PUBLISH', liveChannel(address, opened.incarnation), 'the end');
    await redis().command('PUBLISH', liveChannel(address, 'another'), 'the end');
    await expect.poll(() => current.heard.at(-1)).toBe('the end');
    await expect.poll(() => other.heard).toEqual(['the end']);
    expect(current.heard.slice(1)).toEqual(['{"retired":true}', 'the end']);
    for (const subscription of subscriptions) subscription.close();
  });

  it('tells who follows that the space was deleted', async () => {
    const { address, opened, log } = await openSpace();
    const { heard, handlers } = listen();
    const subscription = await live.subscribe(address, opened.incarnation, handlers);
    await log.retire(address, opened.incarnation);
    await expect.poll(() => heard).toEqual(['{"retired":true}']);
    subscription.close();
  });

  it('is refused where there is no Redis to be heard', async () => {
    const { address, opened } = await openSpace();
    way().cutLive();
    const other = way().openLive({ timeoutMs: 500 });
    await expect(other.subscribe(address, opened.incarnation, listen().handlers)).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    other.close();
    way().mendLive();
  });
});
