import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { migrate } from '../drizzle/migrate.ts';
import { CONFIG_VARIABLES, type ConfigVariable, parseConfig, parseQueueConfig } from '../src/config.ts';
import { createSchedules } from '../src/qstash/schedules.ts';
import { DEMO_SPACE_ID, DEMO_TENANT_ID, ensureFirstWorld, type FirstWorld } from './first-world.ts';
import { keepWorker } from './keep-worker.ts';
import { findFreePort } from './ports.ts';
import { acquireRunLock } from './run-lock.ts';
import {
  DEFAULT_PORTS,
  makeTemporaryDir,
  type StackPorts,
  type StackValues,
  startStack,
  sweepTemporaryDirs,
} from './stack.ts';
import { buildWorkerVariables, startWorker, type WorkerVariables } from './worker.ts';
import { startWorkerProxy } from './worker-proxy.ts';

export interface LocalOptions {
  /** Holds all data, `dev.json` and `env`. */
  dir: string;
  /** The data goes to a temporary folder and ends with the stack. */
  ephemeral: boolean;
  /** Of the Worker; the next free one where it is taken. */
  port: number;
  ports?: StackPorts;
  /** Ends a start that is under way between two of its steps. */
  signal: AbortSignal;
  log(line: string): void;
}

export interface Local extends FirstWorld {
  url: string;
  values: StackValues;
  workerLogFile: string;
  /** Settles with a sentence when a store ends, or when the Worker dies too often. */
  ended: Promise<string>;
  stop(): Promise<void>;
}

/** The path from the project's folder, as a user types it. */
const ENV_NAME = '.worldkeep/env';
/** Milliseconds by which the Worker's own answer to a body that stops arriving comes before the emulator's. */
const BODY_GRACE_MS = 1_000;

/** Starts all that a developer needs: the stack, migrated, the Worker, a first world, and the file that names them. */
export async function startLocal(options: LocalOptions): Promise<Local> {
  const { dir, log, signal } = options;
  const lock = await acquireRunLock(dir, log);
  const undo: (() => unknown)[] = [() => lock.release()];
  const stop = async () => {
    const failures: unknown[] = [];
    for (const end of undo.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  };
  try {
    await sweepTemporaryDirs();
    const dataDir = options.ephemeral ? await makeTemporaryDir() : dir;
    signal.throwIfAborted();
    const stack = await startStack({
      dir: dataDir,
      ephemeral: options.ephemeral,
      ports: options.ports ?? DEFAULT_PORTS,
      log,
      // A temporary folder has a lock of its own: who finds it later has to know whose it is.
      ...(options.ephemeral ? {} : { lock }),
    });
    undo.push(stack.stop);
    signal.throwIfAborted();
    const { values } = stack;
    await migrate({ migrationUrl: values.migrationUrl, appUrl: values.databaseUrl, log });
    signal.throwIfAborted();

    const port = await findFreePort(options.port, new Set(Object.values(stack.ports)));
    if (port !== options.port && options.port !== 0)
      log(`port ${options.port} is taken: the Worker listens on ${port}`);
    const variables = {
      ...readOwnVariables(),
      ...buildWorkerVariables(values),
      DEFAULT_TENANT_ID: DEMO_TENANT_ID,
      DEFAULT_SPACE_ID: DEMO_SPACE_ID,
      PUBLIC_URL: `http://127.0.0.1:${port}`,
    };
    const { bodyTimeoutMs } = parseConfig(variables).limits;
    const emulator = await startWorkerProxy({ port, bodySilenceMsMax: bodyTimeoutMs + BODY_GRACE_MS });
    undo.push(emulator.close);
    const { url } = emulator;
    const start = async (stopping: AbortSignal) =>
      startWorker({
        dir: dataDir,
        port: await findFreePort(0),
        onSpawn: stack.lock.record,
        variables,
        log,
        signal: stopping,
      });
    const worker = await keepWorker({
      start,
      log,
      now: () => performance.now(),
      onChange: (running) => emulator.setTarget(running?.port ?? null),
    });
    undo.push(worker.stop);
    signal.throwIfAborted();

    // Where the Worker has another port than before, the schedule moves along.
    await createSchedules(parseQueueConfig(variables)).apply();
    const world = await ensureFirstWorld(dataDir, { url, databaseUrl: values.databaseUrl, log });
    const devFile = join(dir, 'dev.json');
    writeWhole(devFile, `${JSON.stringify({ url, ...world, ...values }, null, 2)}\n`);
    const envFile = join(dir, 'env');
    writeWhole(envFile, writeEnv(url, world, values));
    if (options.ephemeral) undo.push(() => [devFile, envFile].map((file) => rmSync(file, { force: true })));
    const workerLogFile = join(dataDir, 'worker.log');
    return {
      url,
      values,
      workerLogFile,
      stop,
      ...world,
      ended: Promise.race([stack.ended, worker.ended.then((how) => `${how}; its log is ${workerLogFile}`)]),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Flags and limits from the caller's environment reach the Worker; secrets and addresses are the stack's own. */
function readOwnVariables(): WorkerVariables {
  return Object.fromEntries(
    (Object.keys(CONFIG_VARIABLES) as ConfigVariable[])
      .filter((name) => CONFIG_VARIABLES[name] === 'plain' && !/(^|_)(URL|HOST|PORT)$/.test(name))
      .flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

/** The file that a shell reads with `source`: the names that the command line, `npm start` and game servers read. */
function writeEnv(url: string, { apiKey }: FirstWorld, values: StackValues): string {
  const redis = new URL(values.redisUrl);
  const variables = {
    WORLDKEEP_URL: url,
    WORLDKEEP_API_KEY: apiKey,
    DATABASE_URL: values.databaseUrl,
    REDIS_HOST: redis.hostname,
    REDIS_PORT: redis.port,
    REDIS_PASSWORD: decodeURIComponent(redis.password),
    SESSION_SIGNING_KEY: values.sessionSigningKey,
    DEFAULT_TENANT_ID: DEMO_TENANT_ID,
  };
  const lines = Object.entries(variables).map(
    ([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'\n`,
  );
  return `# Written by npm run dev. Read it with: source ${ENV_NAME}\n${lines.join('')}`;
}

/** Writes a temporary file first, so that a reader never sees half of a file. */
function writeWhole(file: string, text: string): void {
  const written = `${file}.${process.pid}`;
  writeFileSync(written, text, { mode: 0o600 });
  renameSync(written, file);
}
