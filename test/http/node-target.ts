import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { inject } from 'vitest';
import { StartRefused } from './runtimes.ts';
import type { Target, TargetEnv } from './targets.ts';

/** The functions in a separate process. */
export interface NodeTarget extends Target {
  address: { host: string; port: number };
  /** Every line that it has written to stdout and stderr. */
  lines: readonly string[];
  pid: number;
  kill(signal: NodeJS.Signals): void;
  /** The exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
  /** Sends SIGTERM, and expects a clean end. */
  stop(): Promise<void>;
}

/** Starts the Node server with only this environment, on a free port unless the environment names one. */
export async function startNode(env: TargetEnv): Promise<NodeTarget> {
  const child = spawn(process.execPath, [inject('nodeServerPath')], {
    env: { PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killOnExit = () => child.kill('SIGKILL');
  process.once('exit', killOnExit);
  const lines: string[] = [];
  const listening = Promise.withResolvers<URL>();
  const read = (stream: typeof child.stdout) =>
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      const url = /"event":"listening","url":"([^"]+)"/.exec(line)?.[1];
      if (url !== undefined) listening.resolve(new URL(url));
    });
  read(child.stdout);
  read(child.stderr);
  const exited = once(child, 'close').then(([code, signal]: (number | NodeJS.Signals | null)[]) => {
    process.off('exit', killOnExit);
    return code ?? signal ?? 'SIGKILL';
  });
  const ended = exited.then((how): never => {
    throw new StartRefused(how, lines.join('\n'));
  });
  const url = await Promise.race([listening.promise, ended]);
  ended.catch(() => undefined);

  return {
    fetch: (path, init) =>
      fetch(new URL(path, url), {
        redirect: 'manual',
        ...init,
        ...(init?.body instanceof ReadableStream && { duplex: 'half' }),
      }),
    address: { host: url.hostname, port: Number(url.port) },
    lines,
    pid: child.pid ?? 0,
    kill: (signal) => void child.kill(signal),
    exited,
    async stop() {
      child.kill('SIGTERM');
      const how = await exited;
      if (how !== 0) throw new Error(`the server ended with ${how}:\n${lines.slice(-20).join('\n')}`);
    },
  };
}
