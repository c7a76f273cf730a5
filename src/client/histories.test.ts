import { describe, expect, it } from 'vitest';
import { runHistory } from './testing/histories.ts';
import { makePlace, useServer } from './testing/place.ts';

/** A few; `npm run proof` runs 1,000. */
const SEEDS = Array.from({ length: 6 }, (_, i) => i + 1);

describe('random histories of clients', () => {
  const server = useServer({ STREAM_HEARTBEAT_SECONDS: '1' });

  it.concurrent.each(SEEDS)('[K1b] every client shows the state of the server (seed %i)', async (seed) => {
    const place = await makePlace(server());
    const { difference, operations } = await runHistory(seed, place, () => place.url);
    expect(difference).toBeNull();
    expect(operations).toBeGreaterThan(10);
  });
});
