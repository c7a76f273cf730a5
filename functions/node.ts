#!/usr/bin/env node
/**
 * The functions as a server on Node. Exits with 0 after a signal, 1 where it could not listen or had to cut requests off,
 * 2 for a configuration it cannot serve.
 */
import { AppError } from '../src/world/errors.ts';
import { createApp } from './app.ts';
import type { Composition } from './compose.ts';
import { composeNode } from './compose-node.ts';
import { describeError } from './http/describe-error.ts';
import { runCleanup } from './jobs/run-cleanup.ts';
import { runRefresh } from './jobs/run-refresh.ts';
import { runSealAudit } from './jobs/run-seal-audit.ts';
import { openAssets, serveAssets } from './node-assets.ts';
import { type RunningServer, startServer } from './node-server.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
const FRAMES_LOGGED_MAX = 8;
const CLEANUP_MS = 3_600_000;
const REFRESH_MS = 3_600_000;
const SEAL_MS = 60_000;
/** A signal that comes again within this is the same one: a terminal sends it to npm too, which passes it on. */
const REPEATED_SIGNAL_MS = 500;

process.on('uncaughtException', (error) => {
  // Where, and not what: the words of a store hold what was being written.
  const at = error.stack?.match(/^ {4}at .*$/gm)?.slice(0, FRAMES_LOGGED_MAX);
  console.error(JSON.stringify({ level: 'fatal', event: 'crashed', name: error.name, at }));
  process.exit(1);
});
process.exit(await run());

async function run(): Promise<number> {
  const signalled = waitForSignal();
  const fetchAsset = openAssets();
  let composition: Composition;
  try {
    composition = composeNode(process.env, fetchAsset);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return fail(2, error.message);
  }
  const { host, port, shutdownTimeoutMs } = composition.config.server;
  let server: RunningServer;
  try {
    const { fetch } = createApp(composition);
    server = await startServer({
      fetch: fetchAsset === null ? fetch : serveAssets(fetchAsset, fetch),
      host,
      port,
    });
  } catch (error) {
    await composition.close();
    return fail(1, explainListening(error, host, port));
  }
  log({ event: 'listening', url: server.url });
  if (fetchAsset === null)
    composition.log('warn', 'pages_missing', {
      message: 'The pages at / and /docs have no files: build them with npm run build:assets, and restart.',
    });
  void reportStores(composition);
  if (composition.config.qstash === null) {
    cleanHourly(composition);
    refreshHourly(composition);
    sealEachMinute(composition);
  }

  log({ event: 'stopping', signal: await signalled });
  const deadlineMs = performance.now() + shutdownTimeoutMs;
  // They would never end by themselves; who follows comes again.
  composition.endStreams();
  const cut = await server.stop(shutdownTimeoutMs);
  // Work that no caller waits for may still use a store.
  const hasClosed = await settleBefore(deadlineMs, composition.close());
  log({ event: 'stopped', requestsCut: cut });
  return cut === 0 && hasClosed ? 0 : 1;
}

/** Says at start which store does not serve, and why. The server goes on: a store may come later than the server. */
async function reportStores({ persistence, pingCache, log: report }: Composition): Promise<void> {
  for (const outcome of await Promise.allSettled([persistence.ping(), pingCache?.()]))
    if (outcome.status === 'rejected' && outcome.reason instanceof AppError)
      report('error', 'store_unavailable', { message: outcome.reason.message });
}

/** Resolves with the first signal; a second one ends the process immediately. */
function waitForSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstMs: number | null = null;
    for (const signal of SIGNALS)
      process.on(signal, () => {
        if (firstMs === null) {
          firstMs = performance.now();
          resolve(signal);
        } else if (performance.now() - firstMs > REPEATED_SIGNAL_MS) {
          process.exit(1);
        }
      });
  });
}

async function settleBefore(deadlineMs: number, work: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), Math.max(0, deadlineMs - performance.now()));
  const settled = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return settled;
}

function explainListening(error: unknown, host: string, port: number): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  if (code === 'EADDRINUSE') return `Another program already uses PORT ${port} on ${host}.`;
  if (code === 'EACCES') return `This user does not have permission to use PORT ${port}.`;
  return `The server cannot listen on HOST ${host} (${code}).`;
}

/** Without a QStash nobody calls the cleanup. */
function cleanHourly(composition: Composition): void {
  let isRunning = false;
  const clean = async () => {
    if (isRunning) return;
    isRunning = true;
    try {
      for (let goesOn = true; goesOn; ) {
        const { left, failure } = await runCleanup(composition);
        goesOn = left.length > 0 && failure === undefined;
      }
    } catch (cause) {
      composition.log('warn', 'cleanup_failed', { causes: describeError(cause) });
    } finally {
      isRunning = false;
    }
  };
  setInterval(clean, CLEANUP_MS).unref();
}

/** Without a QStash nobody has the figures of analytics counted. Of several processes, one refreshes a view at a time. */
function refreshHourly(composition: Composition): void {
  const refresh = () =>
    runRefresh(composition).catch((cause: unknown) => {
      composition.log('warn', 'refresh_failed', { causes: describeError(cause) });
    });
  setInterval(refresh, REFRESH_MS).unref();
}

/** Without a QStash nobody calls the job. Of several processes, one seals at a time. */
function sealEachMinute(composition: Composition): void {
  const seal = () =>
    runSealAudit(composition).catch((cause: unknown) => {
      composition.log('warn', 'seal_failed', { causes: describeError(cause) });
    });
  setInterval(seal, SEAL_MS).unref();
}

function fail(exitCode: number, sentence: string): number {
  process.stderr.write(`${sentence}\n`);
  return exitCode;
}

function log(fields: Record<string, string | number>): void {
  console.log(JSON.stringify({ level: 'info', ...fields }));
}
