import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Log, LogLevel, Miniflare } from 'miniflare';
import { buildWorkerVariables } from '../../dev/worker.ts';
import type { Bench } from './bench.ts';
import { listChildren } from './processes.ts';
import type { BenchStack } from './stack.ts';
import { makeDir, removeDir } from './temporary-dir.ts';
import { UNLIMITED } from './worker.ts';
import { readCompatibility } from './workerd.ts';

/** A server with a bucket of its own. */
export interface BucketServer {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/** Starts the functions: on Workers with R2's local emulator in the same process, on Node with a folder. */
export async function startWithBucket(bench: Bench, stack: BenchStack): Promise<BucketServer> {
  if (bench.runtime === 'worker')
    return startMiniflare(readFileSync(bench.workerPath, 'utf8'), {
      ...buildWorkerVariables(stack.values),
      ...UNLIMITED,
      PUBLIC_URL: 'http://127.0.0.1:8787',
    });
  const dir = makeDir();
  const server = await bench.startServer(stack.values, { ASSET_DIR: dir });
  const stop = async () => {
    await server.stop();
    removeDir(dir);
  };
  return { url: server.url, pid: server.pid, stop };
}

/** Starts a server that has the same bucket and does nothing else. */
export async function startBareBucket({ runtime }: Bench): Promise<BucketServer> {
  const baselines = join(import.meta.dirname, '../baselines');
  if (runtime === 'worker')
    return startMiniflare(readFileSync(join(baselines, 'bucket-worker.js'), 'utf8'), {});
  const child = fork(join(baselines, 'folder-process.ts'), { execArgv: [] });
  const exited = once(child, 'exit');
  const [port] = await once(child, 'message');
  const stop = async () => {
    child.disconnect();
    await exited;
  };
  return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
}

async function startMiniflare(
  contents: string,
  variables: Readonly<Record<string, string>>,
): Promise<BucketServer> {
  const before = new Set(listChildren(process.pid));
  const texts = Object.entries(variables).map(([name, value]) => [name, { type: 'text' as const, value }]);
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    log: new Log(LogLevel.ERROR),
    handleStructuredLogs: () => undefined,
    workers: [
      {
        config: {
          name: 'bench',
          ...readCompatibility(),
          manifest: { mainModule: 'worker.js', modules: { 'worker.js': { type: 'esm', contents } } },
          env: { ...Object.fromEntries(texts), ASSETS_BUCKET: { type: 'r2', name: 'assets' } },
        },
      },
    ],
  });
  const url = await miniflare.ready;
  const [pid = 0] = listChildren(process.pid).filter((child) => !before.has(child));
  return { url: url.origin, pid, stop: () => miniflare.dispose() };
}
