/** A command the service would not run, or could not read. Its message goes to the client as it is. */
export class CommandRefused extends Error {}

const BLOCKING = new Set(
  'BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF'.split(' '),
);

// At the service each request has its own connection, so state of a connection has no meaning. Here all requests share one
// connection, and such a command would change it for everybody.
const CONNECTION_STATE = new Set(
  (
    'AUTH HELLO QUIT RESET SELECT CLIENT READONLY READWRITE ASKING MONITOR SYNC PSYNC REPLCONF ' +
    'MULTI EXEC DISCARD WATCH UNWATCH ' +
    'SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE'
  ).split(' '),
);

const SERVER = new Set(
  (
    'SHUTDOWN DEBUG SAVE BGSAVE BGREWRITEAOF LASTSAVE REPLICAOF SLAVEOF FAILOVER ROLE MODULE CLUSTER ' +
    'LATENCY SLOWLOG SWAPDB MOVE MIGRATE ACL OBJECT SENTINEL PFDEBUG PFSELFTEST'
  ).split(' '),
);

/**
 * Reads one command out of a request: a list of strings, numbers and booleans, the name first, which is
 * returned in upper case. Throws {@link CommandRefused} for anything else.
 */
export function parseCommand(value: unknown): [name: string, ...args: string[]] {
  if (!Array.isArray(value)) throw new CommandRefused('ERR failed to parse command');
  const [name, ...args] = value.map(parseArgument);
  if (name === undefined || name === '') throw new CommandRefused('ERR empty command');
  return [name.toUpperCase(), ...args];
}

/** Throws {@link CommandRefused} for what the service does not run over REST. */
export function checkAvailable([name, ...args]: readonly [string, ...string[]]): void {
  const isUnavailable =
    BLOCKING.has(name) || CONNECTION_STATE.has(name) || SERVER.has(name) || blocksOnStream(name, args);
  if (isUnavailable || (name === 'CONFIG' && args[0]?.toUpperCase() !== 'GET'))
    throw new CommandRefused(`ERR Command is not available: '${name.toLowerCase()}'`);
}

/**
 * Commands that the service answers with nothing. It shows no command table, and of the configuration nothing that plain Redis names.
 * So there is no way to ask for `maxmemory-policy`.
 */
export function answersEmpty(name: string): boolean {
  return name === 'COMMAND' || name === 'CONFIG';
}

/**
 * A Redis reply as JSON. With `base64` every string is encoded, except an `OK` that is the whole reply. The client decodes nested ones,
 * and would turn a nested `OK` into `8`.
 */
export function encodeReply(reply: unknown, base64: boolean): unknown {
  if (Buffer.isBuffer(reply) && reply.length === 2 && reply.toString('latin1') === 'OK') return 'OK';
  return encodeNested(reply, base64 ? 'base64' : 'utf8');
}

function encodeNested(reply: unknown, encoding: 'base64' | 'utf8'): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString(encoding);
  if (typeof reply === 'string') return Buffer.from(reply).toString(encoding);
  if (Array.isArray(reply)) return reply.map((item) => encodeNested(item, encoding));
  if (reply instanceof Error) return Buffer.from(reply.message).toString(encoding);
  return reply;
}

function parseArgument(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) throw new CommandRefused('ERR null args are not supported');
  throw new CommandRefused('ERR failed to parse command');
}

function blocksOnStream(name: string, args: readonly string[]): boolean {
  if (name !== 'XREAD' && name !== 'XREADGROUP') return false;
  const streamsAt = args.findIndex((arg) => arg.toUpperCase() === 'STREAMS');
  return args.slice(0, Math.max(streamsAt, 0)).some((arg) => arg.toUpperCase() === 'BLOCK');
}
