import type { RedisClient, RedisCommand, RedisReply, RedisScript } from './client.ts';
import { createLostError, readErrorCode, toAppError } from './errors.ts';
import { explainRefusal, type RedisVariables } from './refusals.ts';

/** The outcome of one command: its reply, or the refusal of Redis. */
export type RedisOutcome = { reply: RedisReply } | { refusal: string };

/** How commands get to Redis and replies back. */
export interface RedisTransport {
  /** The names of its address and password, for errors. */
  variables: RedisVariables;
  /** One round trip, each command at most once. Rejects, with whatever it likes, where the answer did not come. */
  send(commands: readonly RedisCommand[]): Promise<RedisOutcome[]>;
  /** The script as this way to Redis takes it. */
  prepare(script: RedisScript): string;
  close(): Promise<void>;
}

/** The verbs over a transport: what is the same over every one of them is here. */
export function createRedisClient(transport: RedisTransport): RedisClient {
  const prepared = new WeakMap<RedisScript, { source: string; sha: string }>();

  async function send(commands: readonly RedisCommand[]): Promise<RedisOutcome[]> {
    let outcomes: RedisOutcome[];
    try {
      outcomes = await transport.send(commands);
    } catch (cause) {
      throw explainRefusal(cause, transport.variables) ?? createLostError(cause);
    }
    if (outcomes.length !== commands.length) throw createLostError();
    return outcomes;
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
    async ping() {
      if (readReply(await sendOne(['PING'])) !== 'PONG') throw createLostError();
    },
    close: () => transport.close(),
  };
}

async function hashSha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
