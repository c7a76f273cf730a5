import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { AskTarget } from './asks.ts';
import { createReceiver } from './child.ts';

export interface SubscriberTarget extends AskTarget {
  subscribers: number;
}

/** What all subscribers heard since they were last asked. */
export interface Heard {
  /** From just before an update was sent until a subscriber had its event parsed; one of each event and subscriber. */
  latenciesMs: number[];
  /** Streams that ended by themselves. */
  ended: number;
}

export interface Subscribers {
  /** What was heard; forgets it. */
  take(): Promise<Heard>;
  pid: number;
  close(): Promise<void>;
}

/**
 * Starts a process that follows a stream of server-sent events so many times, and waits until all follow. Whatever is sent to
 * the space has `properties.sentAt` in its first operation, by the clock of the machine.
 */
export async function openSubscribers(target: SubscriberTarget): Promise<Subscribers> {
  const child = fork(join(import.meta.dirname, 'subscriber-process.ts'), {
    execArgv: [],
    env: { ...process.env, BENCH_SUBSCRIBERS: JSON.stringify(target) },
  });
  const exited = once(child, 'exit');
  const receive = createReceiver<Heard | 'ready'>(child, exited, 'what subscribes');
  await receive();
  return {
    pid: child.pid ?? 0,
    async take() {
      const received = receive();
      child.send('take');
      const heard = await received;
      if (heard === 'ready') throw new Error('what subscribes said that it was ready once more');
      return heard;
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
