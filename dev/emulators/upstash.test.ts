import { describe, expect, it } from 'vitest';
import { uniqueName } from '../../test/support.ts';
import { TOKEN, useTestEmulator } from './upstash-test-emulator.ts';

const test = useTestEmulator();

describe('commands', () => {
  it.each([false, 'base64'] as const)(
    'keeps text of any kind, with response encoding %s',
    async (encoding) => {
      const redis = test.connect({ responseEncoding: encoding });
      const key = uniqueName('text');
      for (const text of [
        '',
        'OK',
        'plain',
        '"quoted"',
        'żółć 🌍 \u{10FFFF}',
        'a\u0000b\r\nc',
        '{"a":[1]}',
        '123',
      ]) {
        expect(await redis.set(key, text)).toBe('OK');
        expect(await redis.get(key)).toBe(text);
        expect(await test.tcp.get(key)).toBe(text);
      }
      expect(await redis.get(uniqueName('absent'))).toBeNull();
    },
  );

  it('answers numbers, nulls and nested lists as Redis has them', async () => {
    const redis = test.connect();
    const key = uniqueName('hash');
    expect(await redis.hset(key, { a: '1', b: 'OK' })).toBe(2);
    expect(await redis.hmget(key, 'a', 'b', 'c')).toEqual(['1', 'OK', null]);
    const stream = uniqueName('stream');
    await redis.xadd(stream, '5-0', { field: 'OK' });
    expect(await redis.eval(`return redis.call('XRANGE', KEYS[1], '-', '+')`, [stream], [])).toEqual([
      ['5-0', ['field', 'OK']],
    ]);
  });

  it('gives binary replies whole in base64, and with replacement characters in JSON', async () => {
    const key = uniqueName('binary');
    await test.tcp.set(key, Buffer.from([0xff, 0x00, 0x80]));
    const encoded = await test.post('/', ['GET', key], { 'upstash-encoding': 'base64' });
    expect(await encoded.json()).toEqual({ result: '/wCA' });
    expect(await (await test.post('/', ['GET', key])).json()).toEqual({ result: '\ufffd\u0000\ufffd' });
  });

  it('answers what Redis refuses with 400 and its words', async () => {
    const key = uniqueName('wrong-type');
    await test.tcp.lpush(key, 'x');
    const response = await test.post('/', ['GET', key]);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringMatching(/^WRONGTYPE /) });
    await expect(test.connect().get(key)).rejects.toThrow('WRONGTYPE');
  });

  it.each([
    [['SELECT', 1]],
    [['client', 'LIST']],
    [['MONITOR']],
    [['WATCH', 'k']],
    [['MULTI']],
    [['SUBSCRIBE', 'c']],
    [['BLPOP', 'k', 0]],
    [['XREAD', 'BLOCK', 0, 'STREAMS', 's', '$']],
    [['CONFIG', 'SET', 'maxmemory', '1']],
    [['SHUTDOWN']],
  ])('does not run %j', async (command) => {
    const response = await test.post('/', command);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: `ERR Command is not available: '${String(command[0]).toLowerCase()}'`,
    });
  });

  it('reads a stream named BLOCK, and shows no configuration', async () => {
    expect(await (await test.post('/', ['XREAD', 'STREAMS', 'BLOCK', '0'])).json()).toEqual({ result: null });
    expect(await (await test.post('/', ['CONFIG', 'GET', 'maxmemory-policy'])).json()).toEqual({
      result: [],
    });
  });

  it.each([
    [['SET', 'k', null], 'ERR null args are not supported'],
    [['SET', 'k', { a: 1 }], 'ERR failed to parse command'],
    [[], 'ERR empty command'],
    [{ command: 'GET' }, 'ERR failed to parse command'],
  ])('refuses %j', async (command, error) => {
    const response = await test.post('/', command);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error });
  });

  it('wants the token', async () => {
    await expect(test.connect({ token: 'another' }).get('k')).rejects.toThrow('WRONGPASS');
    const response = await fetch(test.emulator.url, { method: 'POST', body: '["GET","k"]' });
    expect(response.status).toBe(401);
    expect((await fetch(`${test.emulator.url}/ping?_token=${TOKEN}`)).status).toBe(200);
  });

  it('takes a command as a path', async () => {
    const key = uniqueName('path');
    const headers = { authorization: `Bearer ${TOKEN}` };
    const set = await fetch(`${test.emulator.url}/set/${key}?EX=100`, {
      method: 'POST',
      headers,
      body: 'a value',
    });
    expect(await set.json()).toEqual({ result: 'OK' });
    expect(await (await fetch(`${test.emulator.url}/get/${key}`, { headers })).json()).toEqual({
      result: 'a value',
    });
    expect(await test.tcp.ttl(key)).toBeGreaterThan(0);
  });

  it('holds requests and replies to the size limit', async () => {
    const key = uniqueName('large');
    const large = 'x'.repeat(6 * 1024 * 1024);
    await test.tcp.rpush(key, large, large);
    const request = await test.post('/', ['SET', key, large + large]);
    expect([request.status, await request.json()]).toEqual([
      400,
      { error: 'ERR max request size exceeded. Limit: 10485760 bytes' },
    ]);
    await expect(test.connect().lrange(key, 0, -1)).rejects.toThrow('max response size exceeded');
    await test.tcp.del(key);
  });
});

describe('pipelines and transactions', () => {
  it('answers each command of a pipeline, errors among them', async () => {
    const key = uniqueName('pipeline');
    const response = await test.post('/pipeline', [
      ['SET', key, 'text'],
      ['INCR', key],
      ['SELECT', 1],
      ['GET', key],
    ]);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual([
      { result: 'OK' },
      { error: 'ERR value is not an integer or out of range' },
      { error: "ERR Command is not available: 'select'" },
      { result: 'text' },
    ]);
    expect(await test.connect().pipeline().get(key).strlen(key).exec()).toEqual(['text', 4]);
  });

  it('runs a transaction without anything between its commands', async () => {
    const redis = test.connect();
    const key = uniqueName('transaction');
    const bump = () => redis.multi().incr(key).incr(key).get(key).exec<[number, number, string]>();
    for (const [first, second, text] of await Promise.all(Array.from({ length: 20 }, bump))) {
      expect(second).toBe(first + 1);
      expect(text).toBe(String(second));
    }
    expect(await redis.get(key)).toBe('40');
  });

  it('goes on after a command that fails in a transaction', async () => {
    const key = uniqueName('transaction');
    const response = await test.post('/multi-exec', [
      ['SET', key, 'text'],
      ['INCR', key],
      ['GET', key],
    ]);
    expect(await response.json()).toEqual([
      { result: 'OK' },
      { error: 'ERR value is not an integer or out of range' },
      { result: 'text' },
    ]);
  });

  it.each([
    [['NOSUCHCOMMAND'], 'ERR unknown command'],
    [['GET'], "ERR wrong number of arguments for 'get' command"],
    [['WATCH', 'k'], "ERR Command is not available: 'watch'"],
  ])('runs nothing of a transaction with %j', async (command, reason) => {
    const key = uniqueName('transaction');
    const response = await test.post('/multi-exec', [['SET', key, '1'], command]);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: expect.stringContaining(`EXECABORT Transaction discarded because of: ${reason}`),
    });
    expect(await test.tcp.exists(key)).toBe(0);
    expect(await test.connect().set(key, '2')).toBe('OK');
  });
});
