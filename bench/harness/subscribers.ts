import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { AskTarget } from './asks.ts';
import { createReceiver } from './child.ts';

export interface SubscriberTarget extends AskTarget {
  subscribers: number;
}

/** The events that all subscribers received since the last question. */
export interface Heard {
  /** From just before an update is sent until a subscriber has parsed its event: one value per event and subscriber. */
  latenciesMs: number[];
  /** Streams that ended by themselves. */
  ended: number;
}

export interface Subscribers {
  /** Returns the events so far, and forgets them. */
  take(): Promise<Heard>;
  pid: number;
  close(): Promise<void>;
}

/**
 * Starts a process that follows a stream of server-sent events so many times, and waits until all follow. The first
 * operation of every request to the space must have `properties.sentAt`, by the clock of the machine.
 */
export async function openSubscribers(target: SubscriberTarget): Promise<Subscribers> {
  const child = fork(join(import.meta.dirname, 'subscriber-process.ts'), {
    execArgv: [],
    env: { ...process.env, BENCH_SUBSCRIBERS: JSON.stringify(target) },
  });
  const exited = once(child, 'exit');
  const receive = createReceiver<Heard | 'ready'>(child, exited, 'the subscriber process');
  await receive();
  return {
    pid: child.pid ?? 0,
    async take() {
      const received = receive();
      child.send('take');
      const heard = await received;
      if (heard === 'ready') throw new Error('the subscriber process said twice that it was ready');
      return heard;
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
