import type { RedisConfigNodejs } from '@upstash/redis';
import { describe, expect, it, vi } from 'vitest';
import { uniqueName } from '../../test/support.ts';
import { startUpstashEmulator } from './upstash.ts';
import { useTestEmulator } from './upstash-test-emulator.ts';

const test = useTestEmulator();

describe('what clients do when replies are lost', () => {
  it('a script whose reply is lost runs six times, twice without retries, once with none at all', async () => {
    vi.spyOn(console, 'warn').mockReturnValue();
    const runs = async (retry: NonNullable<RedisConfigNodejs['retry']>): Promise<string | null> => {
      const key = uniqueName('doubled');
      test.emulator.faults.inject({ kind: 'drop-reply', match: key });
      const redis = test.connect({ retry });
      await expect(redis.eval(`return redis.call('INCR', KEYS[1])`, [key], [])).rejects.toThrow();
      return test.tcp.get(key);
    };
    expect(await runs({ retries: 5, backoff: () => 0 })).toBe('6');
    expect(await runs(false)).toBe('2');
    expect(await runs({ retries: 0 })).toBe('1');
  });

  it('a script that outlives a static abort signal seems to answer null; with a signal function it throws', async () => {
    const key = uniqueName('phantom');
    test.emulator.faults.inject({ kind: 'latency', latencyMs: 60_000, match: key });
    const script = `return redis.call('INCR', KEYS[1])`;
    const deceived = test.connect({ signal: AbortSignal.timeout(20) });
    expect(await deceived.eval(script, [key], [])).toBeNull();
    expect(await test.tcp.exists(key)).toBe(0);
    const honest = test.connect({ signal: () => AbortSignal.timeout(20) });
    await expect(honest.eval(script, [key], [])).rejects.toThrow('aborted due to timeout');
  });

  it('a refused request has not run', async () => {
    const key = uniqueName('refused');
    test.emulator.faults.inject({ kind: 'refuse', match: key, times: 1 });
    await expect(test.connect().incr(key)).rejects.toThrow('fetch failed');
    expect(await test.connect().incr(key)).toBe(1);
  });
});

describe('when Redis is away', () => {
  it('does not start without it', async () => {
    const options = { redisUrl: 'redis://127.0.0.1:1', port: 0, token: 'a-token' };
    await expect(startUpstashEmulator(options)).rejects.toThrow('Redis cannot be reached at 127.0.0.1:1');
  });

  it('answers 503 until it is back, and never runs a command again whose reply was lost', async () => {
    const key = uniqueName('away');
    test.relay.isMuted = true;
    const lost = test.post('/', ['INCR', key]);
    await vi.waitFor(async () => expect(await test.tcp.get(key)).toBe('1'));
    test.relay.cut();
    expect((await lost).status).toBe(503);
    expect((await test.post('/pipeline', [['INCR', key]])).status).toBe(503);
    expect((await test.post('/multi-exec', [['INCR', key]])).status).toBe(503);
    await test.relay.mend();
    await vi.waitFor(async () => expect((await test.post('/', ['PING'])).status).toBe(200), {
      timeout: 10_000,
    });
    expect(await test.connect().incr(key)).toBe(2);
  });
});
