import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Receiver } from '@upstash/qstash';
import { afterEach, vi } from 'vitest';
import { type EmulatorReply, type HttpEmulator, startHttpEmulator } from './http.ts';
import { type QStashEmulator, startQStashEmulator } from './qstash.ts';
import { ManualClock } from './qstash-clock.ts';

export const TOKEN = 'a-token';
export const CURRENT_KEY = 'sig_current';
export const NEXT_KEY = 'sig_next';
export const START_MS = Date.parse('2026-11-22T00:00:00Z');

export interface Call {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** The destination of the queue. It records calls and answers as the test says; null leaves a call unanswered. */
export interface Destination {
  url: string;
  calls: Call[];
  answer(call: Call): EmulatorReply | Promise<EmulatorReply> | null;
  waitForCalls(count: number): Promise<void>;
}

export interface TestQueue {
  emulator: QStashEmulator;
  client: Client;
  clock: ManualClock;
  destination: Destination;
  dataFile: string;
}

/** For a test file: queues on a clock that tests advance, and their destinations. All are closed after each test. */
export function useTestQueue() {
  const closing: (() => Promise<unknown>)[] = [];
  let destination: Destination | null = null;
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    destination = null;
    vi.restoreAllMocks();
  });

  async function writeDataFile(text: string): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'qstash-'));
    closing.push(() => rm(dir, { recursive: true }));
    await writeFile(join(dir, 'state.json'), text);
    return join(dir, 'state.json');
  }

  /** A second start in one test has the destination of the first. */
  async function start(options: { dataFile?: string; clock?: ManualClock } = {}): Promise<TestQueue> {
    vi.spyOn(console, 'error').mockReturnValue(); // The client logs each error it throws.
    if (destination === null) {
      const opened = await openDestination();
      destination = opened.destination;
      closing.push(() => opened.emulator.close());
    }
    const dataFile = options.dataFile ?? (await writeDataFile('{}'));
    const clock = options.clock ?? new ManualClock(START_MS);
    const emulator = await startQStashEmulator({
      port: 0,
      token: TOKEN,
      currentSigningKey: CURRENT_KEY,
      dataFile,
      clock,
    });
    closing.push(() => emulator.close());
    const client = new Client({ baseUrl: emulator.url, token: TOKEN, retry: false, enableTelemetry: false });
    return { emulator, client, clock, destination, dataFile };
  }

  /** The result of the service's own receiver for a call. */
  function verify(
    call: Call | undefined,
    url: string,
    currentKey: string,
    nextKey: string,
  ): Promise<boolean> {
    const receiver = new Receiver({ currentSigningKey: currentKey, nextSigningKey: nextKey, devMode: false });
    const signature = String(call?.headers['upstash-signature']);
    return receiver.verify({ signature, body: call?.body ?? '', url });
  }

  return { start, verify, writeDataFile };
}

async function openDestination(): Promise<{ destination: Destination; emulator: HttpEmulator }> {
  const calls: Call[] = [];
  const emulator = await startHttpEmulator({
    port: 0,
    handle: ({ method, path, headers, body }) => {
      const call = { method, path, headers, body: body.toString('utf8') };
      calls.push(call);
      const reply = destination.answer(call);
      return reply ?? new Promise(() => undefined);
    },
  });
  const destination: Destination = {
    url: emulator.url,
    calls,
    answer: () => ({ status: 200 }),
    waitForCalls: (count) =>
      vi.waitFor(() => {
        if (calls.length < count) throw new Error(`${calls.length} of ${count} calls`);
      }),
  };
  return { destination, emulator };
}
