import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Breaker, Refused } from './breaker.ts';

const OPTIONS = {
  failuresMax: 3,
  probeMs: 1_000,
  probeMsMax: 3_000,
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

  it('lets calls through as soon as somebody was answered', async () => {
    const breaker = await breakIt();
    breaker.noteAnswer();
    expect(breaker.awaySinceMs).toBeNull();
    await expect(breaker.run(fail(AWAY), succeed)).rejects.toBe(AWAY);
    expect(await breaker.run(succeed, succeed)).toBe('done');
  });

  it('probes again after a probe that never ends', async () => {
    const breaker = await breakIt();
    const sinceMs = breaker.awaySinceMs;
    vi.advanceTimersByTime(1_000);
    const lost = Promise.withResolvers<void>();
    const ended = breaker.run(succeed, () => lost.promise);
    vi.advanceTimersByTime(2_999);
    await expect(breaker.run(succeed, succeed)).rejects.toBeInstanceOf(Refused);
    vi.advanceTimersByTime(1);
    const probe = vi.fn(fail(AWAY));
    await expect(breaker.run(succeed, probe)).rejects.toBe(AWAY);
    expect([probe.mock.calls.length, breaker.awaySinceMs]).toEqual([1, sinceMs]);
    await expect(breaker.run(succeed, succeed)).rejects.toBeInstanceOf(Refused);
    // A late answer of the first probe says nothing of now.
    lost.resolve();
    expect(await ended).toBe('done');
    expect(breaker.awaySinceMs).toBe(sinceMs);
    vi.advanceTimersByTime(1_000);
    expect(await breaker.run(succeed, succeed)).toBe('done');
    expect(breaker.awaySinceMs).toBeNull();
  });

  it('lets other calls through while the call after a probe still runs', async () => {
    const breaker = await breakIt();
    vi.advanceTimersByTime(1_000);
    const long = Promise.withResolvers<string>();
    const call = vi.fn(() => long.promise);
    const first = breaker.run(call, succeed);
    await vi.waitFor(() => expect(call).toHaveBeenCalledOnce());
    expect(await breaker.run(succeed, succeed)).toBe('done');
    long.resolve('long');
    expect(await first).toBe('long');
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
});
