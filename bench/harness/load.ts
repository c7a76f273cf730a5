import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { MoveForm } from './operations.ts';

/** The address and the content of the requests. */
export interface LoadTarget {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** The number of objects that the load moves in turn. */
  objects: number;
  opsPerRequest: number;
  /** The same seed gives the same moves. */
  seed: number;
  form?: MoveForm | undefined;
  isFast?: boolean | undefined;
}

/** The number and the rate of requests. Without `seconds` and `requests` the load does not end. */
export interface LoadPhase {
  connections: number;
  seconds: number | null;
  requests: number | null;
  /** Null: as fast as the answers arrive. */
  requestsPerSecond: number | null;
}

export interface LoadResult {
  requests: number;
  /** Requests that were due but not sent in time, because no connection was free. */
  unsent: number;
  /** Operations that the answers name as accepted; as applied if the requests wait. */
  accepted: number;
  /** The number of answers by status; 0: the connection broke. */
  statuses: Record<string, number>;
  /** As the answers name them. */
  seqs: number[];
  /** From the first request to the last answer. */
  seconds: number;
  /** Of single requests; at a given rate it is counted from their due time. */
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

/** Starts a process that sends requests, and waits until it has made their bodies. */
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
      if (message.kind !== 'result') throw new Error('the load said twice that it was ready');
      return message.result;
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

/** @throws Error if an answer has another status, or a request was not sent */
export function requireAll(result: LoadResult, status: number): void {
  if (result.unsent > 0) throw new Error(`${result.unsent} requests could not be sent in time`);
  requireStatus(result, status);
}

/** @throws Error if an answer has another status */
export function requireStatus({ statuses, requests }: LoadResult, status: number): void {
  if (statuses[status] !== requests)
    throw new Error(`not all of ${requests} requests were answered ${status}: ${JSON.stringify(statuses)}`);
}
