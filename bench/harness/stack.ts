import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { StackValues } from '../../dev/stack.ts';
import { type Processes, readParentPid } from './processes.ts';

/** Real stores and their emulators. */
export interface BenchStack {
  values: StackValues;
  /** emulators, redis, postgres */
  processes: Processes;
  stop(): Promise<void>;
}

/** Starts an ephemeral stack in a separate process. It is as durable as the dev stack. */
export async function startBenchStack(): Promise<BenchStack> {
  const child = fork(join(import.meta.dirname, 'stack-process.ts'), { execArgv: [] });
  const exited = once(child, 'exit');
  const values = await Promise.race([
    once(child, 'message').then(([message]) => message as StackValues),
    exited.then(([code]) => Promise.reject(new Error(`the stack ended with ${code}`))),
  ]);
  exited.catch(() => undefined);
  const stop = async () => {
    if (child.connected) child.disconnect();
    await exited;
  };
  try {
    return { ...(await describeStack(values, child.pid ?? 0)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Uses a stack that already runs. @param emulatorsPid the process of its emulators */
export async function describeStack(
  values: StackValues,
  emulatorsPid: number,
): Promise<Pick<BenchStack, 'values' | 'processes'>> {
  const redis = new Redis(values.redisUrl);
  const postgres = new pg.Client({ connectionString: values.superuserUrl });
  try {
    await postgres.connect();
    const info = await redis.info('server');
    const { rows } = await postgres.query<{ pid: number }>('select pg_backend_pid() as pid');
    const redisPid = Number(/^process_id:(\d+)/m.exec(info)?.[1]);
    return {
      values,
      processes: { emulators: emulatorsPid, redis: redisPid, postgres: readParentPid(rows[0]?.pid ?? 0) },
    };
  } finally {
    redis.disconnect();
    await postgres.end();
  }
}
