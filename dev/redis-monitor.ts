import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { Redis } from 'ioredis';

/** One command that a Redis server ran. */
export interface SeenCommand {
  /** In lower case. */
  name: string;
  /** Its first argument, '' without one: a key, or the SHA-1 of a script. */
  argument: string;
  /** `host:port` of the client that sent it, or `lua` for a command inside a script. */
  source: string;
}

const LINE = /^\+[\d.]+ \[\d+ (\S+)\] "([^"]*)"(?: "([^"]*)")?/;

/**
 * Lists every command that a Redis server runs while `work` runs, in order. Commands of `redis` itself are left out.
 *
 * It reads MONITOR on a socket of its own: ioredis loses count of its replies where the first lines arrive with the `OK`.
 * @throws where the server cannot be reached, or refuses the password
 */
export async function listRedisCommands(redis: Redis, work: () => Promise<void>): Promise<SeenCommand[]> {
  const { host = '127.0.0.1', port = 6379, password = '' } = redis.options;
  const own = /\baddr=(\S+)/.exec(String(await redis.client('INFO')))?.[1];
  const seen: SeenCommand[] = [];
  const socket = connect(port, host);
  await once(socket, 'connect');
  const lines = createInterface(socket);
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let isEnding = false;
  let left = 2;
  lines.on('line', (line) => {
    const [, source = '', name = '', argument = ''] = LINE.exec(line) ?? [];
    if (name === '') {
      if (line !== '+OK') started.reject(new Error(`Redis refused MONITOR: ${line}`));
      else if (--left === 0) started.resolve();
    } else if (source !== own) seen.push({ name: name.toLowerCase(), argument, source });
    else if (isEnding && name.toLowerCase() === 'ping') ended.resolve();
  });
  const fail = (error: Error) => {
    started.reject(error);
    ended.reject(error);
  };
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('Redis closed the connection of MONITOR')));
  ended.promise.catch(() => undefined);
  try {
    socket.write(`*2\r\n$4\r\nAUTH\r\n$${Buffer.byteLength(password)}\r\n${password}\r\nMONITOR\r\n`);
    await started.promise;
    await work();
    isEnding = true;
    // Redis shows it behind everything that was sent before it.
    await redis.ping();
    await ended.promise;
  } finally {
    socket.destroy();
  }
  return seen;
}
