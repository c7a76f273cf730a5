import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../../dev/ports.ts';
import { killProcess, startProcess, stopProcess } from '../../dev/process.ts';
import type { StackValues } from '../../dev/stack.ts';
import { buildWorkerVariables, type WorkerVariables } from '../../dev/worker.ts';
import { makeDir, removeDir } from './temporary-dir.ts';
import { UNLIMITED } from './worker.ts';
import type { Workerd } from './workerd.ts';

const SERVER = resolve(import.meta.dirname, '../../functions/node.ts');
const START_MS_MAX = 30_000;
const STOP_GRACE_MS = 5_000;
const POLL_MS = 10;

/** Runs the server of `npm start`. It reaches Postgres and Redis over TCP, without an emulator; see `startWorker`. */
export async function startNodeServer(values: StackValues, changes: WorkerVariables = {}): Promise<Workerd> {
  const dir = makeDir();
  const logFile = join(dir, 'node.log');
  const port = await findFreePort(0);
  const url = `http://127.0.0.1:${port}`;
  const {
    DATABASE_HTTP_URL: _,
    UPSTASH_REDIS_REST_URL: __,
    UPSTASH_REDIS_REST_TOKEN: ___,
    ...variables
  } = buildWorkerVariables(values);
  const started = await startProcess({
    name: 'node server',
    command: process.execPath,
    args: [SERVER],
    env: {
      ...variables,
      ...UNLIMITED,
      REDIS_URL: values.redisUrl,
      HOST: '127.0.0.1',
      PORT: String(port),
      PUBLIC_URL: url,
      ...changes,
    },
    logFile,
    lastSignal: 'SIGKILL',
  });
  const end = async (ending: Promise<void>) => {
    await ending;
    removeDir(dir);
  };
  const server: Workerd = {
    url,
    pid: started.pid,
    inspectorUrl: null,
    readLog: () => readFileSync(logFile, 'utf8'),
    stop: () => end(stopProcess(started, 'SIGTERM', STOP_GRACE_MS)),
    kill: () => end(killProcess(started)),
  };
  for (const startedAt = performance.now(); ; await delay(POLL_MS)) {
    const answer = await fetch(new URL('/readyz', url)).catch(() => null);
    await answer?.body?.cancel();
    if (answer?.ok) return server;
    if (started.ended() === null && performance.now() - startedAt < START_MS_MAX) continue;
    const log = server.readLog().slice(-2_000);
    await server.kill();
    throw new Error(
      `the Node server did not serve (${started.ended()}, ${answer?.status ?? 'no answer'}): ${log}`,
    );
  }
}
