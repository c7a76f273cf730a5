import { setTimeout as delay } from 'node:timers/promises';
import type { StackValues } from '../../dev/stack.ts';
import type { AppendRequest, LogAddress } from '../../src/log/log-stores.ts';
import { createLogStore } from '../../src/redis/log.ts';
import { openTcpRedis } from '../../src/redis/tcp.ts';

/** Well below a drain's lease. */
const RENEW_MS = 1_000;
const RETRY_MS = 50;
const RETRIES_MAX = 200;
const TIMEOUT_MS = 10_000;
const ANY = Number.MAX_SAFE_INTEGER;

/** Updates an object that does not exist, so nothing changes. */
const NOTHING: AppendRequest = {
  actor: null,
  entries: [{ ops: '[{"op":"delete","id":"not-there"}]', count: 1 }],
  waits: false,
  idempotency: null,
  budget: null,
  opened: null,
  backlog: { bytesMax: ANY, entriesMax: ANY, ageMsMax: ANY },
};

/** The name in CLIENT LIST of the benchmark's own connections. */
export const OWN_NAME = 'bench';

export interface HeldDrains {
  /** The number of commands that this hold has sent to Redis so far. */
  commands(): number;
  /** Runs `work` while no command of this hold is under way. */
  pauseFor<Result>(work: () => Promise<Result>): Promise<Result>;
  release(): Promise<void>;
}

/**
 * Keeps drains away from a space: claims its drain, and never ends it. Redis must already know
 * the log. A process that is asked to drain this space by name still drains it.
 */
export async function holdDrains({ redisUrl }: StackValues, address: LogAddress): Promise<HeldDrains> {
  const { hostname, port, password } = new URL(redisUrl);
  const redis = openTcpRedis({
    host: hostname,
    port: Number(port),
    password: decodeURIComponent(password),
    timeoutMs: TIMEOUT_MS,
  });
  await redis.command('CLIENT', 'SETNAME', OWN_NAME);
  const log = createLogStore(redis);
  let commands = 0;
  let token = '';
  for (let tries = 0; token === ''; tries++) {
    commands++;
    const outcome = await log.append(address, NOTHING);
    if (outcome.status !== 'appended') throw new Error(`the log cannot be held: ${outcome.status}`);
    // Empty while another drain has the claim.
    token = outcome.token;
    if (token === '' && tries === RETRIES_MAX) throw new Error('another drain has the claim all the time');
    if (token === '') await delay(RETRY_MS);
  }
  const renew = async () => {
    commands++;
    const outcome = await log.read(address, { after: null, token, bytesMax: 1, entriesMax: 1 });
    if (outcome.status !== 'read') throw new Error(`the log is not held any more: ${outcome.status}`);
  };
  await renew();
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };
  const end = new AbortController();
  const holding = (async () => {
    while (!end.signal.aborted) {
      await delay(RENEW_MS, undefined, { signal: end.signal }).catch(() => undefined);
      if (!end.signal.aborted) await inTurn(renew);
    }
  })();
  holding.catch(() => undefined);
  return {
    commands: () => commands,
    pauseFor: inTurn,
    async release() {
      end.abort();
      await holding.finally(() => redis.close());
    },
  };
}
