import { Redis, type RedisOptions } from 'ioredis';
import type { Faults } from './faults.ts';
import {
  BadRequest,
  type EmulatorReply,
  type EmulatorRequest,
  type EmulatorStream,
  FRONT_BODY_BYTES_MAX,
  type HttpEmulator,
  readBearer,
  startHttpEmulator,
} from './http.ts';
import {
  answersEmpty,
  CommandRefused,
  checkAvailable,
  encodeReply,
  parseCommand,
} from './upstash-commands.ts';
import { type KeyPositions, ScriptTranslator } from './upstash-scripts.ts';
import { Subscriptions } from './upstash-subscribe.ts';

export interface UpstashEmulatorOptions {
  /** `redis://127.0.0.1:PORT` of a Redis or Valkey, version 7 or later. */
  redisUrl: string;
  port: number;
  token: string;
  faults?: Faults;
}

type Command = [name: string, ...args: string[]];
type Outcome = { result: unknown } | { error: string };

const REPLY_BYTES_MAX = FRONT_BODY_BYTES_MAX;
const RECONNECT_MS = 100;

// A command whose reply is lost must never run again by itself: that is the client's decision to test.
const REDIS_OPTIONS: Omit<RedisOptions, 'replyMapping'> = {
  protocol: 2,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  disableClientInfo: true,
  retryStrategy: () => RECONNECT_MS,
};

/**
 * Upstash's REST interface in front of a Redis reached over TCP: `POST /`, `/pipeline`, `/multi-exec`,
 * `/subscribe/…`, `/psubscribe/…`, and commands as a path. Rejects if Redis cannot be reached; when Redis
 * goes away later the answer is 503 until it is back.
 */
export async function startUpstashEmulator(options: UpstashEmulatorOptions): Promise<HttpEmulator> {
  const redis = new Redis(options.redisUrl, { ...REDIS_OPTIONS, lazyConnect: true });
  const subscriptions = new Subscriptions(options.redisUrl, REDIS_OPTIONS);
  redis.on('error', () => undefined); // Each command's own rejection says it.
  try {
    await redis.connect().catch((cause: Error) => {
      throw new Error(`Redis cannot be reached at ${new URL(options.redisUrl).host}`, { cause });
    });
    const scripts = new ScriptTranslator(await readKeyPositions(redis));
    const emulator = await startHttpEmulator({
      port: options.port,
      faults: options.faults,
      handle: (request) => handle(request, { redis, scripts, subscriptions, token: options.token }),
      replyTooLarge: () => ({ status: 400, body: { error: sizeError('request') } }),
    });
    return {
      ...emulator,
      async close() {
        await emulator.close();
        subscriptions.close();
        redis.disconnect();
      },
    };
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

interface Backend {
  redis: Redis;
  scripts: ScriptTranslator;
  subscriptions: Subscriptions;
  token: string;
}

async function handle(
  request: EmulatorRequest,
  { redis, scripts, subscriptions, token }: Backend,
): Promise<EmulatorReply | EmulatorStream> {
  const [path = '/', query = ''] = request.path.split('?', 2);
  const search = new URLSearchParams(query);
  if (!['GET', 'POST', 'PUT', 'HEAD'].includes(request.method)) return { status: 405 };
  if ((readBearer(request.headers) ?? search.get('_token')) !== token)
    return { status: 401, body: { error: 'WRONGPASS invalid or missing auth token' } };
  const [first = '', ...segments] = path.slice(1).split('/').map(decodeSegment);
  if ((first === 'subscribe' || first === 'psubscribe') && segments.length > 0)
    return subscriptions.stream(first, segments, request.signal);
  const base64 = request.headers['upstash-encoding'] === 'base64';
  const encode = (outcome: Outcome): Outcome =>
    'error' in outcome ? outcome : { result: encodeReply(outcome.result, base64) };
  try {
    if (first === 'pipeline') {
      const outcomes = parseCommandList(request).map((command) => execute(redis, scripts, command));
      return reply(200, (await Promise.all(outcomes)).map(encode));
    }
    if (first === 'multi-exec') {
      const outcomes = await executeTransaction(redis, scripts, parseCommandList(request));
      return Array.isArray(outcomes) ? reply(200, outcomes.map(encode)) : reply(400, outcomes);
    }
    const command = first === '' ? request.json() : readPathCommand(request, first, segments, search);
    const outcome = await execute(redis, scripts, command);
    return reply('error' in outcome ? 400 : 200, encode(outcome));
  } catch (error) {
    if (error instanceof CommandRefused) return { status: 400, body: { error: error.message } };
    if (error instanceof BadRequest) throw error;
    return { status: 503, body: { error: 'ERR Redis is away; what was sent to it may have been run' } };
  }
}

/** Runs one command. Every reply of Redis is an outcome, also an error. Rejects if Redis is away. */
async function execute(redis: Redis, scripts: ScriptTranslator, value: unknown): Promise<Outcome> {
  try {
    const command = parseCommand(value);
    checkAvailable(command);
    if (answersEmpty(command[0])) return { result: [] };
    return { result: scripts.translateReply(command, await send(redis, scripts.translate(command))) };
  } catch (error) {
    if (error instanceof CommandRefused || isRedisError(error)) return { error: error.message };
    throw error;
  }
}

/** Runs all or nothing; the one error is why nothing was run. */
async function executeTransaction(
  redis: Redis,
  scripts: ScriptTranslator,
  values: unknown[],
): Promise<Outcome[] | { error: string }> {
  const commands: Command[] = [];
  try {
    for (const value of values) {
      const command = parseCommand(value);
      checkAvailable(command);
      commands.push(command);
    }
  } catch (error) {
    if (error instanceof CommandRefused) return { error: abortedBecause(error.message) };
    throw error;
  }
  // Sent in one go, so that no other request's command comes between MULTI and EXEC.
  const sent = [
    send(redis, ['MULTI']),
    ...commands.map((command) => send(redis, scripts.translate(command))),
    send(redis, ['EXEC']),
  ];
  const settled = await Promise.allSettled(sent);
  const failure = settled.find((one) => one.status === 'rejected');
  if (failure !== undefined) {
    if (isRedisError(failure.reason)) return { error: abortedBecause(failure.reason.message) };
    throw failure.reason;
  }
  const executed = settled.at(-1);
  const replies = executed?.status === 'fulfilled' && Array.isArray(executed.value) ? executed.value : [];
  return commands.map((command, i) => {
    const item: unknown = replies[i];
    return item instanceof Error
      ? { error: item.message }
      : { result: scripts.translateReply(command, item) };
  });
}

/** Redis's own answer, not a lost connection. */
function isRedisError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

// The name goes in upper case: the client reshapes the replies of commands it knows, by lower case name.
function send(redis: Redis, [name, ...args]: Command): Promise<unknown> {
  return redis.callBuffer(name, args);
}

function parseCommandList(request: EmulatorRequest): unknown[] {
  const list = request.json();
  if (!Array.isArray(list)) throw new CommandRefused('ERR failed to parse pipeline request');
  return list;
}

/** `/set/foo/bar`; a body is the next argument, and the query's names and values come last. */
function readPathCommand(
  request: EmulatorRequest,
  name: string,
  segments: string[],
  search: URLSearchParams,
): string[] {
  const body = request.body.length > 0 ? [request.body.toString('utf8')] : [];
  const options = [...search].filter(([key]) => key !== '_token').flat();
  return [name, ...segments, ...body, ...options.filter((option) => option !== '')];
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new BadRequest('ERR path is not valid percent encoding');
  }
}

function reply(status: number, body: unknown): EmulatorReply {
  const payload = JSON.stringify(body);
  if (payload.length > REPLY_BYTES_MAX) return { status: 400, body: { error: sizeError('response') } };
  return { status, headers: { 'content-type': 'application/json' }, body: payload };
}

function sizeError(what: 'request' | 'response'): string {
  return `ERR max ${what} size exceeded. Limit: ${FRONT_BODY_BYTES_MAX} bytes`;
}

function abortedBecause(message: string): string {
  return `EXECABORT Transaction discarded because of: ${message}`;
}

async function readKeyPositions(redis: Redis): Promise<Map<string, KeyPositions>> {
  const positions = new Map<string, KeyPositions>();
  const table = (await redis.call('COMMAND')) as [string, number, unknown, number, number, number][];
  for (const [name, , , first, last, step] of table) positions.set(name.toUpperCase(), { first, last, step });
  return positions;
}
