/** Milliseconds that a caller waits for a commit at most. Its answer comes within 10 s, and its append took a part of them. */
export const COMMIT_WAIT_MS_MAX = 8_000;
/** Milliseconds between two looks at whether a drain has committed: doubled each time, up to the last. */
const POLL_FIRST_MS = 4;
const POLL_MS_MAX = 50;
/** Milliseconds without a commit after which a waiting caller drains, although another drain has the claim. */
const IMPATIENT_MS = 400;

export interface CommitPoll<Found> {
  /** Milliseconds since 1970. */
  now: () => number;
  /** Resolves after so many milliseconds, or when the signal aborts. */
  pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** When the caller gives up, in milliseconds since 1970. */
  endMs: number;
  /** @returns null while it has not committed */
  look: () => Promise<Found | null>;
  /** Drains the space while the caller keeps looking. It never rejects. */
  drain: () => Promise<unknown>;
  /** A drain that the caller has started already. */
  draining?: Promise<unknown> | null;
}

/**
 * Looks until a drain has committed what the caller waits for. No look or drain delays its end. @returns `late` where that took too long
 */
export async function pollUntilCommitted<Found>(poll: CommitPoll<Found>): Promise<Found | 'late'> {
  const { now, pause, endMs } = poll;
  const over = new AbortController();
  const late = pause(Math.max(0, endMs - now()), over.signal).then(() => 'late' as const);
  try {
    return await Promise.race([keepLooking(poll, over.signal), late]);
  } finally {
    over.abort();
  }
}

async function keepLooking<Found>(poll: CommitPoll<Found>, over: AbortSignal): Promise<Found | 'late'> {
  const { now, pause, endMs, look, drain } = poll;
  let isDraining = false;
  const follow = async (work: Promise<unknown>) => {
    isDraining = true;
    await work;
    isDraining = false;
  };
  if (poll.draining) void follow(poll.draining);
  let impatientMs = now() + IMPATIENT_MS;
  for (let delayMs = POLL_FIRST_MS; ; delayMs = Math.min(delayMs * 2, POLL_MS_MAX)) {
    const found = await look();
    if (found !== null) return found;
    if (over.aborted || now() >= endMs) return 'late';
    if (now() >= impatientMs && !isDraining) {
      impatientMs = now() + IMPATIENT_MS;
      const waiting = new AbortController();
      await Promise.race([follow(drain()), pause(POLL_MS_MAX, waiting.signal)]);
      waiting.abort();
    } else await pause(delayMs, over);
  }
}
