import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { uniqueName } from '../../test/support.ts';
import { startUpstashEmulator } from './upstash.ts';
import { TOKEN, useTestEmulator } from './upstash-test-emulator.ts';

const LOCKING = '#!lua flags=allow-key-locking\n';

const test = useTestEmulator();

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

describe('scripts', () => {
  it('runs a script with the key locking flag, known by the SHA of the sent text', async () => {
    const redis = test.connect();
    const key = uniqueName('script');
    const text = `#!lua flags=allow-oom,allow-key-locking\nreturn redis.call('INCRBY', KEYS[1], ARGV[1]) -- ${key}`;
    await expect(redis.evalsha(sha1(text), [key], ['5'])).rejects.toThrow('NOSCRIPT');
    expect(await redis.eval(text, [key], ['5'])).toBe(5);
    expect(await redis.evalsha(sha1(text), [key], ['5'])).toBe(10);
    expect(await redis.scriptLoad(`${text} again`)).toBe(sha1(`${text} again`));
    expect(await redis.evalsha(sha1(`${text} again`), [key], ['5'])).toBe(15);
    expect(await redis.scriptExists(sha1(text), sha1('unknown'))).toEqual([1, 0]);
    expect(await redis.createScript<number>(`${text} sdk`).exec([key], ['5'])).toBe(20);
    expect(await redis.multi().evalsha(sha1(text), [key], ['5']).exec()).toEqual([25]);
  });

  it('leaves scripts without the flag alone', async () => {
    const redis = test.connect();
    const text = `return {KEYS[1], ARGV[1], #ARGV} -- ${uniqueName('plain')}`;
    expect(await redis.eval(text, ['k'], ['a', 'b'])).toEqual(['k', 'a', 2]);
    expect(await redis.evalsha(sha1(text), ['k'], ['c'])).toEqual(['k', 'c', 1]);
    expect(await redis.eval('#!lua flags=no-writes\nreturn 7', [], [])).toBe(7);
  });

  it('answers NOSCRIPT after its own restart, so that the client sends the script again', async () => {
    const key = uniqueName('restart');
    const text = `${LOCKING}return redis.call('INCR', KEYS[1]) -- ${key}`;
    await test.connect().eval(text, [key], []);
    const restarted = await startUpstashEmulator({ redisUrl: test.relay.url, port: 0, token: TOKEN });
    try {
      const redis = test.connect({ url: restarted.url });
      await expect(redis.evalsha(sha1(text), [key], [])).rejects.toThrow('NOSCRIPT');
      expect(await redis.createScript<number>(text).exec([key], [])).toBe(2);
      expect(await redis.evalsha(sha1(text), [key], [])).toBe(3);
    } finally {
      await restarted.close();
    }
  });

  it('holds a key locking script to the keys it names', async () => {
    const redis = test.connect();
    const [named, other] = [uniqueName('named'), uniqueName('other')];
    const refusal = `ERR Dynamic keys are not allowed in Lua scripts when 'allow-key-locking' flag is set. Key was: ${other}`;
    await expect(redis.eval(`${LOCKING}return redis.call('get', ARGV[1])`, [named], [other])).rejects.toThrow(
      refusal,
    );
    await expect(
      redis.eval(`${LOCKING}return redis.call('DEL', KEYS[1], ARGV[1])`, [named], [other]),
    ).rejects.toThrow(refusal);
    await expect(
      redis.eval(`${LOCKING}return redis.call('MSET', KEYS[1], '1', ARGV[1], '2')`, [named], [other]),
    ).rejects.toThrow(refusal);
    await expect(redis.eval(`${LOCKING}return redis.call('FLUSHDB')`, [], [])).rejects.toThrow(
      'FLUSHDB is not allowed',
    );
    expect(await redis.eval(`${LOCKING}return redis.pcall('GET', ARGV[1])['err']`, [named], [other])).toBe(
      refusal,
    );
    const computed = `${LOCKING}redis.call('SET', ARGV[1] .. ARGV[2], 'x') return {redis.call('TIME')[1] ~= '', redis.sha1hex('')}`;
    expect(await redis.eval(computed, [named], [named.slice(0, 3), named.slice(3)])).toEqual([1, sha1('')]);
    expect(await test.tcp.exists(other)).toBe(0);
  });

  it("gives a script's errors with the line numbers of the sent text", async () => {
    await expect(test.connect().eval(`${LOCKING}local a = 1\nlocal b = a.b.c`, [], [])).rejects.toThrow(
      '@user_script:3',
    );
  });
});
