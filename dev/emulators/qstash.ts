import { Faults } from './faults.ts';
import {
  BadRequest,
  type EmulatorReply,
  type EmulatorRequest,
  type HttpEmulator,
  readBearer,
  startHttpEmulator,
} from './http.ts';
import { type Clock, systemClock } from './qstash-clock.ts';
import { QStashQueue } from './qstash-queue.ts';
import { type PublishHeaders, parseSpec } from './qstash-spec.ts';
import { type DeadLetter, QStashStore, type Schedule } from './qstash-store.ts';

export interface QStashEmulatorOptions {
  port: number;
  token: string;
  /** Signs deliveries. */
  currentSigningKey: string;
  /** Keeps messages, schedules and dead letters from one start to the next. */
  dataFile?: string;
  faults?: Faults;
  clock?: Clock;
}

export interface QStashEmulator extends HttpEmulator {
  /** Resolves when no delivery is under way and everything is stored. */
  idle(): Promise<void>;
}

/**
 * The part of QStash that worldkeep uses: publish, schedules, signed delivery with retries, and the list of dead letters. It delivers only
 * to this machine. It refuses unknown headers that would change a delivery. Faults also affect deliveries.
 */
export async function startQStashEmulator(options: QStashEmulatorOptions): Promise<QStashEmulator> {
  const faults = options.faults ?? new Faults();
  const store = await QStashStore.open(options.dataFile ?? null);
  const queue = new QStashQueue(store, options.clock ?? systemClock, faults, options.currentSigningKey);
  const emulator = await startHttpEmulator({
    port: options.port,
    faults,
    handle: (request) =>
      readBearer(request.headers) === options.token
        ? route(queue, request)
        : { status: 401, body: { error: 'unauthorized: missing or invalid token' } },
  });
  queue.start();
  return {
    ...emulator,
    idle: () => queue.idle(),
    async close() {
      await emulator.close();
      await queue.close();
    },
  };
}

async function route(queue: QStashQueue, request: EmulatorRequest): Promise<EmulatorReply> {
  const { method, path } = request;
  // The path holds the destination unencoded, with its own slashes and query.
  const [, resource = '', rest = ''] = /^\/v2\/([a-z]+)\/?(.*)$/s.exec(path) ?? [];
  const [id = '', action = ''] = rest.split('/');
  switch (`${method} ${resource}`) {
    case 'POST publish':
      return { status: 200, body: await queue.publish(parseSpec(rest, readHeaders(request), request.body)) };
    case 'POST schedules': {
      const headers = readHeaders(request);
      const cron = headers['upstash-cron'];
      if (cron === undefined) throw new BadRequest('a schedule needs the header Upstash-Cron');
      const spec = parseSpec(rest, headers, request.body);
      const { scheduleId } = await queue.schedule(cron, spec, headers['upstash-schedule-id']);
      return { status: 200, body: { scheduleId } };
    }
    case 'GET schedules':
      return { status: 200, body: queue.listSchedules().map(showSchedule) };
    case 'PATCH schedules':
      if (action !== 'pause' && action !== 'resume') break;
      return (await queue.pauseSchedule(id, action === 'pause'))
        ? { status: 200 }
        : notFound(`schedule ${id}`);
    case 'GET dlq':
      return { status: 200, body: { messages: queue.listDeadLetters().map(showDeadLetter) } };
  }
  return notFound(`the local queue does not serve ${method} ${path}`);
}

function showDeadLetter({ dlqId, message, responseStatus, responseBody }: DeadLetter) {
  const { messageId, url, body, retriesMax } = message;
  return { dlqId, messageId, url, body, maxRetries: retriesMax, responseStatus, responseBody };
}

function showSchedule({ scheduleId, cron, spec, createdAtMs, isPaused, nextMs }: Schedule) {
  return {
    scheduleId,
    cron,
    destination: spec.url,
    method: spec.method,
    body: spec.body,
    retries: spec.retriesMax,
    createdAt: createdAtMs,
    isPaused,
    nextScheduleTime: nextMs,
  };
}

function readHeaders({ headers }: EmulatorRequest): PublishHeaders {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value?.toString()]));
}

function notFound(error: string): EmulatorReply {
  return { status: 404, body: { error: `${error} not found` } };
}
