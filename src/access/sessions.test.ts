import { afterEach, describe, expect, it, vi } from 'vitest';
import { AppError } from '../world/errors.ts';
import { type SessionPresence, type SessionStore, Sessions } from './sessions.ts';

const KEYS = { key: 'a key of thirty-two bytes or more', previousKey: null };
const PLACE = { spaceId: 'main', userId: 'ann' };
const AWAY = new AppError('store_unavailable', 'Redis does not answer.');

/** A store in which Ann has one stay, and may have it in these spaces. */
function makeStore(spaces: readonly string[] = []): SessionStore {
  return {
    mintSession: async () => 'viewer',
    findSession: async () => null,
    touchSession: async (_, id) => (id === 'hers' ? PLACE : null),
    endSession: async (_, id) => (id === 'hers' ? { ...PLACE, seconds: 1 } : null),
    listSpacesOf: async () => [...spaces],
  };
}

/** Notes what it was told, and answers each as `answer` does. */
function makePresence(answer: () => Promise<void> = async () => undefined) {
  const told: unknown[] = [];
  const note = (verb: string) => (about: object) => {
    told.push([verb, about]);
    return answer();
  };
  const presence: SessionPresence = {
    touch: note('touch'),
    leave: note('leave'),
    leaveWhole: note('leaveWhole'),
    clear: note('clear'),
  };
  return { told, presence };
}

const open = (presence: SessionPresence | null, onPresenceAway = (_: unknown) => {}, store = makeStore()) =>
  new Sessions(store, { now: () => Date.now(), cacheMs: 0, keys: KEYS, presence, onPresenceAway });
const mint = (sessions: Sessions) => sessions.mint('t', { userId: 'ann', spaceId: 'main' });

describe('Sessions and presence', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('report each join, heartbeat and end once, and nothing of unknown sessions', async () => {
    const { told, presence } = makePresence();
    const sessions = open(presence);
    const { id } = await mint(sessions);
    await sessions.heartbeat('t', 'hers');
    await sessions.end('t', 'hers');
    for (const call of [() => sessions.heartbeat('t', 'nobodys'), () => sessions.end('t', 'nobodys')])
      await expect(call()).rejects.toMatchObject({ code: 'not_found' });
    await sessions.closeSpace('t', 'main');
    expect(told).toEqual([
      ['touch', { tenantId: 't', sessionId: id, ...PLACE }],
      ['touch', { tenantId: 't', sessionId: 'hers', ...PLACE }],
      ['leave', { tenantId: 't', sessionId: 'hers', ...PLACE }],
      ['clear', { tenantId: 't', spaceId: 'main' }],
    ]);
  });

  it('end the presence of an erased person in every space, after the erasure', async () => {
    const { told, presence } = makePresence();
    const sessions = open(presence, undefined, makeStore(['a', 'b']));
    await sessions.eraseWith('t', 'ann', async () => void told.push('erased'));
    const gone = (spaceId: string) => ['leaveWhole', { tenantId: 't', spaceId, userId: 'ann' }];
    expect(told).toEqual(['erased', gone('a'), gone('b')]);
    const refuse = () => Promise.reject(AWAY);
    await expect(sessions.eraseWith('t', 'ann', refuse)).rejects.toBe(AWAY);
    expect(told).toHaveLength(3);
  });

  it('work while it is away, and report each outage once', async () => {
    let isAway = true;
    const { presence } = makePresence(() => (isAway ? Promise.reject(AWAY) : Promise.resolve()));
    const causes: unknown[] = [];
    const sessions = open(presence, (cause) => void causes.push(cause), makeStore(['a', 'b']));
    const doAll = async () => {
      await mint(sessions);
      await sessions.heartbeat('t', 'hers');
      await sessions.end('t', 'hers');
      await sessions.eraseWith('t', 'ann', async () => undefined);
      await sessions.closeSpace('t', 'main');
    };
    await doAll();
    expect(causes).toEqual([AWAY]);
    isAway = false;
    await doAll();
    isAway = true;
    await doAll();
    expect(causes).toEqual([AWAY, AWAY]);
  });

  it('wait for it half a second at most, and ignore a later answer', async () => {
    vi.useFakeTimers();
    const answers: ((error: unknown) => void)[] = [];
    const { presence } = makePresence(() => new Promise((_, reject) => answers.push(reject)));
    const causes: unknown[] = [];
    const sessions = open(presence, (cause) => void causes.push(cause));
    let isAnswered = false;
    const beat = sessions.heartbeat('t', 'hers').then(() => {
      isAnswered = true;
    });
    await vi.advanceTimersByTimeAsync(499);
    expect(isAnswered).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(isAnswered).toBe(true);
    await beat;
    for (const reject of answers) reject(AWAY);
    await vi.advanceTimersByTimeAsync(0);
    expect([causes, vi.getTimerCount()]).toEqual([[AWAY], 0]);
  });

  it('tell nobody where there is none', async () => {
    const sessions = open(null, undefined, {
      ...makeStore(),
      listSpacesOf: () => Promise.reject(new Error('nobody needs to know')),
    });
    await mint(sessions);
    await sessions.heartbeat('t', 'hers');
    await sessions.end('t', 'hers');
    await sessions.eraseWith('t', 'ann', async () => undefined);
    await sessions.closeSpace('t', 'main');
  });
});
