import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The next message of a child, of any kind; rejects if the child ends instead. */
export function createReceiver<Message>(
  child: ChildProcess,
  exited: Promise<unknown[]>,
  name: string,
): () => Promise<Message> {
  const ended = exited.then(([code]) => Promise.reject(new Error(`${name} ended with ${code}`)));
  ended.catch(() => undefined);
  return () => Promise.race([once(child, 'message').then(([message]) => message as Message), ended]);
}

/** Milliseconds, by a clock that all processes of a machine share. */
export function readSharedMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
