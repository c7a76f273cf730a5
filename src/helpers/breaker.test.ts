import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Breaker, Refused } from './breaker.ts';

/** Milliseconds. A test waits for them, because a breaker measures by its own timer. */
const SLOW_MS = 20;
const OPTIONS = {
  failuresMax: 3,
  probeMs: 1_000,
  slowMs: SLOW_MS,
  isOutage: (error: unknown) => error !== MISTAKE,
};
const MISTAKE = new Error('a mistake of the caller');
const AWAY = new Error('away');

describe('a breaker', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  const fail = (error: Error) => () => Promise.reject(error);
  const succeed = async () => 'done';

  async function breakIt(): Promise<Breaker> {
    const breaker = new Breaker(OPTIONS);
    for (let i = 0; i < OPTIONS.failuresMax; i++)
      await expect(breaker.run(fail(AWAY), succeed)).rejects.toBe(AWAY);
    return breaker;
  }

  it('refuses calls after three failures in a row, and says since when', async () => {
    const breaker = await breakIt();
    const call = vi.fn(succeed);
    await expect(breaker.run(call, call)).rejects.toBeInstanceOf(Refused);
    expect(call).not.toHaveBeenCalled();
    expect(breaker.awaySinceMs).toBe(Date.now());
  });

  it('counts neither mistakes of the caller nor failures before a success', async () => {
    const breaker = new Breaker(OPTIONS);
    for (const error of [AWAY, AWAY, MISTAKE, MISTAKE, MISTAKE])
      await expect(breaker.run(fail(error), succeed)).rejects.toBe(error);
    expect(await breaker.run(succeed, succeed)).toBe('done');
    for (const error of [AWAY, AWAY]) await expect(breaker.run(fail(error), succeed)).rejects.toBe(error);
    expect(await breaker.run(succeed, succeed)).toBe('done');
    expect(breaker.awaySinceMs).toBeNull();
  });

  it('probes once a second with a call that has no effect, and refuses all others meanwhile', async () => {
    const breaker = await breakIt();
    vi.advanceTimersByTime(999);
    await expect(breaker.run(succeed, succeed)).rejects.toBeInstanceOf(Refused);
    vi.advanceTimersByTime(1);
    const { promise, reject } = Promise.withResolvers<string>();
    const call = vi.fn(succeed);
    const probing = breaker.run(call, () => promise);
    await expect(breaker.run(call, call)).rejects.toBeInstanceOf(Refused);
    reject(AWAY);
    await expect(probing).rejects.toBe(AWAY);
    expect(call).not.toHaveBeenCalled();
    await expect(breaker.run(call, call)).rejects.toBeInstanceOf(Refused);
  });

  it('lets all calls through after a successful probe', async () => {
    const breaker = await breakIt();
    vi.advanceTimersByTime(1_000);
    const probe = vi.fn(succeed);
    expect(await breaker.run(succeed, probe)).toBe('done');
    expect(await breaker.run(succeed, probe)).toBe('done');
    expect(probe).toHaveBeenCalledTimes(1);
    expect(breaker.awaySinceMs).toBeNull();
  });

  it('lets calls through as soon as a direct question is answered', async () => {
    const breaker = await breakIt();
    await breaker.ask(succeed);
    expect(breaker.awaySinceMs).toBeNull();
    await expect(breaker.run(fail(AWAY), succeed)).rejects.toBe(AWAY);
    expect(await breaker.run(succeed, succeed)).toBe('done');
  });

  it('stays away since the first failure while probes fail', async () => {
    const breaker = await breakIt();
    const sinceMs = breaker.awaySinceMs;
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(1_000);
      await expect(breaker.run(succeed, fail(AWAY))).rejects.toBe(AWAY);
    }
    expect(breaker.awaySinceMs).toBe(sinceMs);
  });

  describe('[F8a] whose other side is slow', () => {
    /** Calls that are answered only when the test says so. */
    function makeSlow() {
      const { promise, resolve } = Promise.withResolvers<string>();
      return { call: () => promise, answer: () => resolve('late') };
    }

    it('refuses calls after three that were not answered in time, and still returns their answers', async () => {
      const breaker = new Breaker(OPTIONS);
      const { call, answer } = makeSlow();
      const calls = [call, call, call].map((each) => breaker.run(each, succeed));
      await vi.waitFor(() => expect(breaker.awaySinceMs).not.toBeNull());
      await expect(breaker.run(succeed, succeed)).rejects.toBeInstanceOf(Refused);
      answer();
      expect(await Promise.all(calls)).toEqual(['late', 'late', 'late']);
      await expect(breaker.run(succeed, succeed)).rejects.toBeInstanceOf(Refused);
    });

    it('stays away while probes are slow', async () => {
      const breaker = await breakIt();
      const call = vi.fn(succeed);
      for (let i = 0; i < 3; i++) {
        vi.advanceTimersByTime(1_000);
        await expect(breaker.run(call, makeSlow().call)).rejects.toBeInstanceOf(Refused);
      }
      expect(call).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1_000);
      expect(await breaker.run(call, succeed)).toBe('done');
    });

    it('stays away when a direct question is answered late', async () => {
      const breaker = await breakIt();
      const { call, answer } = makeSlow();
      const asking = breaker.ask(call);
      vi.advanceTimersByTime(SLOW_MS);
      answer();
      expect(await asking).toBe('late');
      expect(breaker.awaySinceMs).not.toBeNull();
    });

    it('[F8c] probes again when the request that probed has ended without an answer', async () => {
      const breaker = await breakIt();
      vi.advanceTimersByTime(1_000);
      // The timer of an ended request does not run either.
      vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: Date.now() });
      void breaker.run(succeed, makeSlow().call);
      await expect(breaker.run(succeed, succeed)).rejects.toBeInstanceOf(Refused);
      vi.setSystemTime(Date.now() + OPTIONS.probeMs + SLOW_MS);
      expect(await breaker.run(succeed, succeed)).toBe('done');
      expect(breaker.awaySinceMs).toBeNull();
    });
  });
});
