import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { MoveForm } from './operations.ts';

/** Where requests go, and what is in them. */
export interface LoadTarget {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** How many objects take turns to be moved. */
  objects: number;
  opsPerRequest: number;
  /** The same seed gives the same moves. */
  seed: number;
  form?: MoveForm | undefined;
  isFast?: boolean | undefined;
}

/** How much is sent, and how fast; with neither `seconds` nor `requests` it would not end. */
export interface LoadPhase {
  connections: number;
  seconds: number | null;
  requests: number | null;
  /** Null: as fast as the answers come. */
  requestsPerSecond: number | null;
}

export interface LoadResult {
  requests: number;
  /** Due at the given rate, and not sent before the time was over: no connection was free. */
  unsent: number;
  /** Operations that the answers name as accepted, or, where they wait, as applied. */
  accepted: number;
  /** How many answers had each status; 0: the connection broke. */
  statuses: Record<string, number>;
  /** As the answers name them. */
  seqs: number[];
  /** From the first request to the last answer. */
  seconds: number;
  /** Of single requests; at a given rate from when each was due. */
  latencyMs: { p50: number; p99: number; max: number };
}

export type LoadMessage = { kind: 'ready' } | { kind: 'result'; result: LoadResult };

export interface Load {
  /** One phase at a time. Moves go on where the phase before ended. */
  run(phase: LoadPhase): Promise<LoadResult>;
  /** Its process. */
  pid: number;
  close(): Promise<void>;
}

/** Starts a process that sends requests, and waits until it has made what it will send. */
export async function openLoad(target: LoadTarget): Promise<Load> {
  const child = fork(join(import.meta.dirname, 'load-process.ts'), {
    execArgv: [],
    env: { ...process.env, BENCH_LOAD: JSON.stringify(target) },
  });
  const exited = once(child, 'exit');
  const ended = exited.then(([code]) => Promise.reject(new Error(`the load ended with ${code}`)));
  ended.catch(() => undefined);
  const receive = () =>
    Promise.race([once(child, 'message').then(([message]) => message as LoadMessage), ended]);
  await receive();
  return {
    pid: child.pid ?? 0,
    async run(phase) {
      const received = receive();
      child.send(phase);
      const message = await received;
      if (message.kind !== 'result') throw new Error('the load said that it was ready once more');
      return message.result;
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

/** @throws Error where an answer was not as it should be, or something was not sent */
export function requireAll(result: LoadResult, status: number): void {
  if (result.unsent > 0) throw new Error(`${result.unsent} requests could not be sent in time`);
  requireStatus(result, status);
}

/** @throws Error where an answer was not as it should be */
export function requireStatus({ statuses, requests }: LoadResult, status: number): void {
  if (statuses[status] !== requests)
    throw new Error(`not all of ${requests} requests were answered ${status}: ${JSON.stringify(statuses)}`);
}
