import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createReceiver } from './child.ts';

/** One request. The process replaces {@link SENT_AT} in its body by the time just before it sends it. */
export interface Ask {
  method: string;
  path: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
}

/** A placeholder in a body: the process replaces it by the time of sending, by the machine's clock, in ms. */
export const SENT_AT = '"$sentAt"';

export interface AskPhase {
  asks: readonly Ask[];
  connections: number;
  /** Null: each connection sends the next request when it has the answer. */
  requestsPerSecond: number | null;
}

export interface Answer {
  /** 0: the connection broke. */
  status: number;
  /** From the due time of the request to the last byte of the answer. */
  ms: number;
  bytes: number;
  etag: string;
}

/** The address and the headers of every request. */
export interface AskTarget {
  url: string;
  headers: Readonly<Record<string, string>>;
}

export interface Asker {
  /** One phase at a time. @returns an answer for each request, in the same order */
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
  const receive = createReceiver<Answer[] | 'ready'>(child, exited, 'the asker');
  await receive();
  return {
    pid: child.pid ?? 0,
    async run(phase) {
      const received = receive();
      child.send(phase);
      const answers = await received;
      if (answers === 'ready') throw new Error('the asker said twice that it was ready');
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
