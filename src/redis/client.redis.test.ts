import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REDIS_WAYS, type RedisWay } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import type { RedisClient, RedisScript } from './client.ts';

const AWAY = { code: 'store_unavailable', message: 'Redis does not answer.' };
const INCREMENT: RedisScript = { source: "return redis.call('incr', KEYS[1])" };

describe.each(REDIS_WAYS)('RedisClient, %s', (_, openWay) => {
  let way: RedisWay;
  const opened: RedisClient[] = [];
  const open: RedisWay['open'] = (options) => {
    const client = way.open(options);
    opened.push(client);
    return client;
  };
  beforeAll(async () => {
    way = await openWay();
  });
  afterAll(async () => {
    await Promise.all(opened.map((client) => client.close()));
    await way?.close();
  });

  it.each([
    ['a number', '123'],
    ['a number with an exponent', '1e400'],
    ['JSON', '{"a":[1,null]}'],
    ['null', 'null'],
    ['OK', 'OK'],
    ['what looks like base64', 'T0s='],
    ['nothing', ''],
    ['several scripts', 'žluťoučký 🐎 ‏עברית'],
    ['line ends and control characters', '\r\n$5\r\n\0\x01\x7f\t\u2028'],
    ['characters from the edges of UTF-8', '\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}'],
  ])('gives text back as it was: %s', async (_name, text) => {
    const redis = open();
    const key = uniqueName('text');
    expect(await redis.command('SET', key, text)).toBe('OK');
    expect(await redis.command('GET', key)).toBe(text);
    expect(await redis.eval({ source: 'return {ARGV[1], KEYS[1]}' }, [key], [text])).toEqual([text, key]);
  });

  it('carries a large value both ways', async () => {
    const redis = open({ timeoutMs: 20_000 });
    const key = uniqueName('large');
    const text = 'ž🐎"\\'.repeat(400_000);
    await redis.command('SET', key, text, 'EX', '60');
    expect((await redis.command('GET', key)) === text).toBe(true);
  });

  it('gives numbers, nil and lists as Redis does', async () => {
    const redis = open();
    const key = uniqueName('kinds');
    expect(await redis.command('GET', key)).toBeNull();
    expect(await redis.command('hset', key, 'a', '1', 'b', 'zwei')).toBe(2);
    expect(await redis.command('hgetall', key)).toEqual(['a', '1', 'b', 'zwei']);
    expect(await redis.command('HMGET', key, 'a', 'c')).toEqual(['1', null]);
    expect(await redis.command('HLEN', key)).toBe(2);
    expect(await redis.command('SMEMBERS', uniqueName('none'))).toEqual([]);
    expect(await redis.eval({ source: 'return {1, {"2", {3}}, false}' }, [], [])).toEqual([
      1,
      ['2', [3]],
      null,
    ]);
  });

  it('answers a pipeline in its order, and an empty one with nothing', async () => {
    const redis = open();
    const key = uniqueName('pipeline');
    const commands = Array.from({ length: 200 }, (_, i) => ['APPEND', key, String(i % 10)] as const);
    expect(await redis.pipeline([...commands, ['GET', key], ['MGET', key, 'none']])).toEqual([
      ...commands.map((_command, i) => i + 1),
      '0123456789'.repeat(20),
      ['0123456789'.repeat(20), null],
    ]);
    expect(await redis.pipeline([])).toEqual([]);
  });

  it('runs a script that Redis does not know, and goes on after it has forgotten it', async () => {
    const redis = open();
    const key = uniqueName('script');
    const script = { source: `-- ${key}\n${INCREMENT.source}` };
    expect(await redis.eval(script, [key], [])).toBe(1);
    expect(await redis.eval(script, [key], [])).toBe(2);
    await redis.command('SCRIPT', 'FLUSH');
    expect(await redis.eval(script, [key], [])).toBe(3);
  });

  it('runs a script that asks Upstash to lock no more than its keys', async () => {
    const redis = open();
    for (const flags of ['allow-key-locking', 'allow-key-locking,no-writes', 'no-writes'])
      expect(
        await redis.eval(
          { source: `#!lua flags=${flags}\nreturn redis.call('GET', KEYS[1])` },
          [uniqueName('k')],
          [],
        ),
      ).toBeNull();
  });

  it('tells a mistake in a command from a Redis that is away, in words of its own', async () => {
    const redis = open();
    const key = uniqueName('secret');
    await redis.command('SET', key, 'text');
    // Each begins when it is looked at: one that fails before would be nobody's.
    const failures = [
      () => redis.command('LPUSH', key, 'secret'),
      () => redis.command('NONSENSE', 'secret'),
      () =>
        redis.pipeline([
          ['GET', key],
          ['INCR', key],
        ]),
      () => redis.eval({ source: "error('secret')" }, [key], []),
      () => redis.eval({ source: 'secret secret' }, [key], []),
    ];
    for (const fail of failures)
      await expect(fail()).rejects.toMatchObject({
        code: 'internal',
        message: expect.not.stringMatching(/secret|nonsense/i),
      });
    const busy = redis.eval({ source: "return redis.error_reply('BUSY secret')" }, [], []);
    await expect(busy).rejects.toMatchObject({
      code: 'store_unavailable',
      message: 'Redis cannot serve now.',
    });
  });

  it('says so where Redis cannot be reached, and serves when it can be again', async () => {
    const redis = open();
    await redis.ping();
    way.inject({ kind: 'refuse' });
    try {
      await expect(redis.ping()).rejects.toMatchObject(AWAY);
      await expect(redis.command('GET', 'k')).rejects.toMatchObject(AWAY);
      await expect(redis.pipeline([['GET', 'k']])).rejects.toMatchObject(AWAY);
      await expect(redis.eval(INCREMENT, ['k'], [])).rejects.toMatchObject(AWAY);
    } finally {
      way.clear();
    }
    await expect.poll(() => redis.ping().then(() => 'back')).toBe('back');
  });

  it('may be opened while Redis is away', async () => {
    way.inject({ kind: 'refuse' });
    const redis = open();
    try {
      await expect(redis.ping()).rejects.toMatchObject(AWAY);
    } finally {
      way.clear();
    }
    await expect.poll(() => redis.ping().then(() => 'back')).toBe('back');
  });

  it('gives a command up that is not answered in time, rather than take it for answered', async () => {
    const redis = open({ timeoutMs: 150 });
    await redis.ping();
    way.inject({ kind: 'hang' });
    try {
      await expect(redis.eval(INCREMENT, [uniqueName('late')], [])).rejects.toMatchObject(AWAY);
      await expect(redis.command('GET', 'k')).rejects.toMatchObject(AWAY);
    } finally {
      way.clear();
    }
    await expect.poll(() => redis.ping().then(() => 'back')).toBe('back');
  });

  it('runs what it is asked once, even if the answer is lost', async () => {
    const redis = open();
    const [once, scripted, piped] = [uniqueName('once'), uniqueName('once'), uniqueName('once')];
    await redis.eval(INCREMENT, [uniqueName('known')], []);
    const lost: [key: string, run: () => Promise<unknown>][] = [
      [once, () => redis.command('INCR', once)],
      [scripted, () => redis.eval(INCREMENT, [scripted], [])],
      [piped, () => redis.pipeline([['INCR', piped]])],
    ];
    for (const [key, run] of lost) {
      way.inject({ kind: 'drop-reply', match: key });
      await expect(run()).rejects.toMatchObject(AWAY);
      await expect.poll(() => redis.command('GET', key)).toBe('1');
    }
  });

  it('is away with a wrong password', async () => {
    const stranger = open({ password: 'another' });
    await expect(stranger.ping()).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringMatching(/password in (REDIS_PASSWORD|UPSTASH_REDIS_REST_TOKEN)\. Correct it\.$/),
    });
  });
});
