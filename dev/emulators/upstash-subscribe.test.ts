import { describe, expect, it, vi } from 'vitest';
import { uniqueName } from '../../test/support.ts';
import { useTestEmulator } from './upstash-test-emulator.ts';

const test = useTestEmulator();

describe('subscriptions', () => {
  function nextEvent<T>(on: (listener: (event: T) => void) => void): Promise<T> {
    return new Promise((resolve) => on(resolve));
  }

  it('streams messages until the subscriber goes, and then frees its connection', async () => {
    const redis = test.connect();
    const channel = `${uniqueName('wk')}:{tenant!space}:log`;
    const subscriber = redis.subscribe<string>([channel]);
    expect(await nextEvent<number>((on) => subscriber.on('subscribe', on))).toBe(1);
    for (const payload of ['{"seq":1,"ops":["ü,🌍"]}', '', 'OK']) {
      const message = nextEvent<unknown>((on) => subscriber.on('message', on));
      expect(await redis.publish(channel, payload)).toBe(1);
      expect(await message).toEqual({ channel, message: payload });
    }
    await subscriber.unsubscribe();
    await vi.waitFor(async () =>
      expect(await test.tcp.call('PUBSUB', 'NUMSUB', channel)).toEqual([channel, 0]),
    );
  });

  it('tells each of many who follow, until it leaves itself, and all in one order', async () => {
    const channel = uniqueName('many');
    const open = async () => {
      const response = await test.post(`/subscribe/${channel}`, null);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      return {
        async readTo(end: string) {
          while (!text.endsWith(end)) text += (await reader?.read())?.value ?? '';
          return text;
        },
        leave: () => reader?.cancel(),
      };
    };
    const greeting = `data: subscribe,${channel},1\n\n`;
    const followers = await Promise.all(Array.from({ length: 20 }, open));
    for (const follower of followers) expect(await follower.readTo(greeting)).toBe(greeting);
    const say = (text: string) => test.tcp.call('PUBLISH', channel, text);
    const heard = (text: string) => `data: message,${channel},${text}\n\n`;
    await say('1');
    await Promise.all(followers.map((follower) => follower.readTo(heard('1'))));
    const [left, ...others] = followers;
    await left?.leave();
    const late = await open();
    await late.readTo(greeting);
    await say('2');
    for (const follower of others)
      expect(await follower.readTo(heard('2'))).toBe(`${greeting}${heard('1')}${heard('2')}`);
    expect(await late.readTo(heard('2'))).toBe(`${greeting}${heard('2')}`);
    for (const follower of [...others, late]) await follower.leave();
    await vi.waitFor(async () =>
      expect(await test.tcp.call('PUBSUB', 'NUMSUB', channel)).toEqual([channel, 0]),
    );
    // Followed again after all have left.
    const next = await open();
    await next.readTo(greeting);
    await say('3');
    expect(await next.readTo(heard('3'))).toBe(`${greeting}${heard('3')}`);
    await next.leave();
  });

  it('streams the messages of a pattern', async () => {
    const redis = test.connect();
    const prefix = uniqueName('pattern');
    const subscriber = redis.psubscribe<string>([`${prefix}:*`]);
    await nextEvent<number>((on) => subscriber.on('psubscribe', on));
    const message = nextEvent<unknown>((on) => subscriber.on('pmessage', on));
    await redis.publish(`${prefix}:a`, '"text"');
    expect(await message).toEqual({ pattern: `${prefix}:*`, channel: `${prefix}:a`, message: '"text"' });
    await subscriber.unsubscribe();
  });

  it('ends the stream when Redis cuts the connection', async () => {
    const channel = uniqueName('cut');
    const response = await test.post(`/subscribe/${channel}`, null);
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe(`data: subscribe,${channel},1\n\n`);
    test.relay.cut();
    await expect(reader?.read()).rejects.toThrow();
    await test.relay.mend();
  });
});
