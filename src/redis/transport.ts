import { Breaker, Refused } from '../helpers/breaker.ts';
import { LIMITS } from '../world/limits.ts';
import type { RedisClient, RedisCommand, RedisReply, RedisScript } from './client.ts';
import { createLostError, readErrorCode, toAppError } from './errors.ts';
import { NotSent } from './not-sent.ts';
import { explainRefusal, type RedisVariables } from './refusals.ts';

/** The outcome of one command: its reply, or the refusal of Redis. */
export type RedisOutcome = { reply: RedisReply } | { refusal: string };

/** How commands get to Redis and replies back. */
export interface RedisTransport {
  /** The names of its address and password, for errors. */
  variables: RedisVariables;
  /**
   * One round trip, each command at most once. It rejects if the answer did not come: with `NotSent` if the commands never left, else
   * with any error.
   */
  send(commands: readonly RedisCommand[]): Promise<RedisOutcome[]>;
  /** The script as this way to Redis takes it. */
  prepare(script: RedisScript): string;
  close(): Promise<void>;
}

/** The verbs over a transport: what is the same over every one of them is here. */
export function createRedisClient(transport: RedisTransport): RedisClient {
  const prepared = new WeakMap<RedisScript, { source: string; sha: string }>();
  const breaker = new Breaker({
    failuresMax: LIMITS.storeFailuresMax,
    probeMs: LIMITS.storeProbeMs,
    slowMs: LIMITS.storeSlowMs,
    // Its refusals are answers.
    isOutage: () => true,
  });
  /** Why calls are refused. */
  let lastFailure: unknown;

  /** @param run how: by default, not while Redis is away */
  async function send(
    commands: readonly RedisCommand[],
    run = (call: () => Promise<RedisOutcome[]>) => breaker.run(call, probe),
  ): Promise<RedisOutcome[]> {
    let outcomes: RedisOutcome[];
    try {
      outcomes = await run(() => transport.send(commands));
    } catch (error) {
      if (!(error instanceof Refused)) lastFailure = error instanceof NotSent ? error.cause : error;
      const cause = error instanceof Refused ? new NotSent(lastFailure) : error;
      throw explainRefusal(cause, transport.variables) ?? createLostError(cause);
    }
    if (outcomes.length !== commands.length) throw createLostError();
    return outcomes;
  }

  /** A command that was to follow it was not sent. */
  async function probe(): Promise<void> {
    try {
      await transport.send([['PING']]);
    } catch (error) {
      throw error instanceof NotSent ? error : new NotSent(error);
    }
  }

  async function sendOne(command: RedisCommand): Promise<RedisOutcome> {
    const [outcome] = await send([command]);
    return outcome as RedisOutcome;
  }

  async function prepare(script: RedisScript): Promise<{ source: string; sha: string }> {
    const known = prepared.get(script);
    if (known !== undefined) return known;
    const source = transport.prepare(script);
    const made = { source, sha: await hashSha1(source) };
    prepared.set(script, made);
    return made;
  }

  function readReply(outcome: RedisOutcome): RedisReply {
    if ('refusal' in outcome) throw toAppError(outcome.refusal, transport.variables);
    return outcome.reply;
  }

  return {
    command: async (name, ...args) => readReply(await sendOne([name, ...args])),
    pipeline: async (commands) => (commands.length === 0 ? [] : (await send(commands)).map(readReply)),
    async eval(script, keys, args) {
      const { source, sha } = await prepare(script);
      const rest = [String(keys.length), ...keys, ...args];
      const outcome = await sendOne(['EVALSHA', sha, ...rest]);
      const isUnknown = 'refusal' in outcome && readErrorCode(outcome.refusal) === 'NOSCRIPT';
      return readReply(isUnknown ? await sendOne(['EVAL', source, ...rest]) : outcome);
    },
    // Asks always, so that `/readyz` tells how it is now.
    ping: () =>
      breaker.ask(async () => {
        const [outcome] = await send([['PING']], (call) => call());
        if (readReply(outcome as RedisOutcome) !== 'PONG') throw createLostError();
      }),
    get awaySinceMs() {
      return breaker.awaySinceMs;
    },
    close: () => transport.close(),
  };
}

async function hashSha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
