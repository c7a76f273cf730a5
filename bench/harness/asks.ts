import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createReceiver } from './child.ts';

/** One request. In its body {@link SENT_AT} stands for the moment just before it is sent. */
export interface Ask {
  method: string;
  path: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
}

/** Stands in a body for a number: when it is sent, by the machine's own clock, in milliseconds. */
export const SENT_AT = '"$sentAt"';

export interface AskPhase {
  asks: readonly Ask[];
  connections: number;
  /** Null: each connection sends the next when it has the answer. */
  requestsPerSecond: number | null;
}

export interface Answer {
  /** 0: the connection broke. */
  status: number;
  /** From when it was due to the last byte of the answer. */
  ms: number;
  bytes: number;
  etag: string;
}

/** Where the requests go, and what is in the headers of each. */
export interface AskTarget {
  url: string;
  headers: Readonly<Record<string, string>>;
}

export interface Asker {
  /** One phase at a time. @returns an answer for each, in their order */
  run(phase: AskPhase): Promise<Answer[]>;
  pid: number;
  close(): Promise<void>;
}

/** Starts a process that sends given requests and measures their answers. */
export async function openAsker(target: AskTarget): Promise<Asker> {
  const child = fork(join(import.meta.dirname, 'ask-process.ts'), {
    execArgv: [],
    env: { ...process.env, BENCH_ASKS: JSON.stringify(target) },
  });
  const exited = once(child, 'exit');
  const receive = createReceiver<Answer[] | 'ready'>(child, exited, 'what asks');
  await receive();
  return {
    pid: child.pid ?? 0,
    async run(phase) {
      const received = receive();
      child.send(phase);
      const answers = await received;
      if (answers === 'ready') throw new Error('what asks said that it was ready once more');
      return answers;
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

/** Runs one phase. @throws Error where an answer has another status */
export async function askAll(
  asker: Asker,
  phase: AskPhase,
  statuses: readonly number[] = [200],
): Promise<Answer[]> {
  const answers = await asker.run(phase);
  const wrong = answers.findIndex(({ status }) => !statuses.includes(status));
  if (wrong < 0) return answers;
  const { method, path } = phase.asks[wrong] ?? { method: '', path: '' };
  throw new Error(`${method} ${path} was answered ${answers[wrong]?.status}`);
}
