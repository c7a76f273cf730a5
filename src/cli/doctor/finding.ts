/**
 * `wrong`: worlds are lost, open to others or not served, now or when something ends. `warning`: somebody should look at it.
 * `unknown`: it could not be seen, which is not wrong by itself.
 */
export type FindingStatus = 'ok' | 'warning' | 'wrong' | 'unknown';

/** One result of the doctor. A result that is not ok has a remedy. */
export interface Finding {
  /** Stable, for programs: `postgres.row_security`. */
  id: string;
  status: FindingStatus;
  message: string;
  remedy?: string;
}

export const ok = (id: string, message: string): Finding => ({ id, status: 'ok', message });
export const wrong = (id: string, message: string, remedy: string): Finding => ({
  id,
  status: 'wrong',
  message,
  remedy,
});
export const warning = (id: string, message: string, remedy: string): Finding => ({
  id,
  status: 'warning',
  message,
  remedy,
});
export const unknown = (id: string, message: string, remedy: string): Finding => ({
  id,
  status: 'unknown',
  message,
  remedy,
});

const CLOCK_DIFFERENCE_MS_MAX = 1_000;

/** A clock is judged by what a round trip leaves sure. */
export function judgeClock(
  id: string,
  store: string,
  { clockDifferenceMs, roundTripMs }: { clockDifferenceMs: number; roundTripMs: number },
): Finding {
  const difference = `${clockDifferenceMs < 0 ? '-' : '+'}${Math.abs(Math.round(clockDifferenceMs))} ms (±${Math.ceil(roundTripMs / 2)})`;
  if (Math.abs(clockDifferenceMs) - roundTripMs / 2 <= CLOCK_DIFFERENCE_MS_MAX)
    return ok(id, `the clock of ${store} is at ${difference} of this machine's`);
  return wrong(
    id,
    `the clock of ${store} is at ${difference} of this machine's; at most ${CLOCK_DIFFERENCE_MS_MAX} ms is taken for the same time`,
    `Set both clocks by NTP. Until then times in the world, and when keys and sessions end, are told by different clocks.`,
  );
}
