import { Faults } from './faults.ts';
import {
  BadRequest,
  type FrontReply,
  type FrontRequest,
  type HttpFront,
  readBearer,
  startHttpFront,
} from './http.ts';
import { type Clock, systemClock } from './qstash-clock.ts';
import { QStashQueue, toHeaderLists } from './qstash-queue.ts';
import { type PublishHeaders, parseSpec } from './qstash-spec.ts';
import { type DeadLetter, type Message, QStashStore, type Schedule } from './qstash-store.ts';

export interface QStashFrontOptions {
  port: number;
  token: string;
  /** Signs deliveries. */
  currentSigningKey: string;
  /** Shown by `/v2/keys`; signs nothing until it is the current one. */
  nextSigningKey: string;
  /** Keeps messages, schedules and dead letters from one start to the next. */
  dataFile?: string;
  faults?: Faults;
  clock?: Clock;
}

export interface QStashFront extends HttpFront {
  /** Resolves when no delivery is under way and everything is stored. */
  idle(): Promise<void>;
}

const LIST_COUNT_DEFAULT = 100;

/**
 * QStash's interface: publish, batch, schedules, messages, dead letters, and signed delivery, to this machine
 * only. Unknown headers that change a delivery are refused rather than ignored. Faults also meet deliveries.
 */
export async function startQStashFront(options: QStashFrontOptions): Promise<QStashFront> {
  const faults = options.faults ?? new Faults();
  const store = await QStashStore.open(options.dataFile ?? null);
  const queue = new QStashQueue(store, options.clock ?? systemClock, faults, options.currentSigningKey);
  const front = await startHttpFront({
    port: options.port,
    faults,
    handle: (request) => {
      if (readBearer(request.headers) !== options.token)
        return { status: 401, body: { error: 'unauthorized: missing or invalid token' } };
      return route(queue, options, request);
    },
  });
  queue.start();
  return {
    ...front,
    idle: () => queue.idle(),
    async close() {
      await front.close();
      await queue.close();
    },
  };
}

function route(
  queue: QStashQueue,
  options: QStashFrontOptions,
  request: FrontRequest,
): Promise<FrontReply> | FrontReply {
  // The destination stands in the path as it is, with its own slashes and query.
  const [, resource = '', rest = ''] = /^\/v2\/([a-z]+)((?:[/?].*)?)$/s.exec(request.path) ?? [];
  switch (`${request.method} ${resource}`) {
    case 'POST publish':
      return publish(queue, request, rest.slice(1));
    case 'POST batch':
      return publishBatch(queue, request.json());
    case 'GET messages':
    case 'DELETE messages':
      return handleMessages(queue, request.method, rest);
    case 'POST schedules':
      return createSchedule(queue, request, rest.slice(1));
    case 'GET schedules':
    case 'DELETE schedules':
    case 'PATCH schedules':
      return handleSchedules(queue, request.method, rest);
    case 'GET dlq':
    case 'POST dlq':
    case 'DELETE dlq':
      return handleDeadLetters(queue, request.method, rest);
    case 'GET keys':
      return { status: 200, body: { current: options.currentSigningKey, next: options.nextSigningKey } };
    default:
      return notFound(`the local queue does not serve ${request.method} ${request.path}`);
  }
}

async function publish(queue: QStashQueue, request: FrontRequest, url: string): Promise<FrontReply> {
  if (request.headers['upstash-cron'] !== undefined) return createSchedule(queue, request, url);
  const [result] = await queue.publish([parseSpec(url, flattenHeaders(request), request.body)]);
  return { status: result?.deduplicated ? 202 : 200, body: result };
}

async function publishBatch(queue: QStashQueue, items: unknown): Promise<FrontReply> {
  if (!Array.isArray(items)) throw new BadRequest('a batch is a JSON list');
  // All are read before one is taken: a batch that is refused has published nothing.
  const specs = items.map((item: unknown, i) => {
    if (!isBatchItem(item)) throw new BadRequest(`batch item ${i} is not {destination, headers, body}`);
    const headers = Object.entries(item.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
    return parseSpec(item.destination, Object.fromEntries(headers), Buffer.from(item.body ?? ''));
  });
  return { status: 200, body: await queue.publish(specs) };
}

async function createSchedule(queue: QStashQueue, request: FrontRequest, url: string): Promise<FrontReply> {
  const headers = flattenHeaders(request);
  const cron = headers['upstash-cron'];
  if (cron === undefined) throw new BadRequest('a schedule needs the header Upstash-Cron');
  const spec = parseSpec(url, headers, request.body);
  const { scheduleId } = await queue.schedule(cron, spec, headers['upstash-schedule-id']);
  return { status: 200, body: { scheduleId } };
}

async function handleMessages(queue: QStashQueue, method: string, rest: string): Promise<FrontReply> {
  const { id, search } = splitRest(rest);
  if (method === 'GET') {
    const message = queue.getMessage(id);
    return message === undefined
      ? notFound(`message ${id} not found`)
      : { status: 200, body: showMessage(message) };
  }
  const ids = id === '' ? search.getAll('messageIds') : [id];
  const filter = [...search.keys()].find((key) => !['messageIds', 'count', 'cursor'].includes(key));
  if (filter !== undefined) throw new BadRequest(`the local queue does not cancel by ${filter}`);
  const cancelled = await queue.cancel(ids.length === 0 ? undefined : ids);
  return id !== '' && cancelled === 0
    ? notFound(`message ${id} not found`)
    : { status: 200, body: { cancelled } };
}

async function handleSchedules(queue: QStashQueue, method: string, rest: string): Promise<FrontReply> {
  const { id, action } = splitRest(rest);
  if (method === 'GET') {
    const schedules = queue.listSchedules().map(showSchedule);
    if (id === '') return { status: 200, body: schedules };
    const schedule = schedules.find(({ scheduleId }) => scheduleId === id);
    return schedule === undefined ? notFound(`schedule ${id} not found`) : { status: 200, body: schedule };
  }
  if (method === 'PATCH' && action !== 'pause' && action !== 'resume') return notFound(`no action ${action}`);
  const found =
    method === 'DELETE' ? await queue.deleteSchedule(id) : await queue.pauseSchedule(id, action === 'pause');
  return found ? { status: 200 } : notFound(`schedule ${id} not found`);
}

async function handleDeadLetters(queue: QStashQueue, method: string, rest: string): Promise<FrontReply> {
  const { id, search } = splitRest(rest);
  const matching = queue.listDeadLetters().map(showDeadLetter).filter(byQuery(search));
  if (method === 'GET' && id !== '') {
    const letter = matching.find(({ dlqId }) => dlqId === id);
    return letter === undefined ? notFound(`dead letter ${id} not found`) : { status: 200, body: letter };
  }
  const from = Number(search.get('cursor') ?? 0);
  const to = from + Number(search.get('count') ?? LIST_COUNT_DEFAULT);
  if (method === 'GET') {
    const cursor = to < matching.length ? { cursor: String(to) } : {};
    return { status: 200, body: { messages: matching.slice(from, to), ...cursor } };
  }
  const ids = matching.slice(0, to - from).map(({ dlqId }) => dlqId);
  const cursor = ids.length < matching.length ? { cursor: '0' } : {};
  if (method === 'POST')
    return id === 'retry'
      ? { status: 200, body: { responses: await queue.retryDeadLetters(ids), ...cursor } }
      : notFound(`no action ${id}`);
  if (id === '') return { status: 200, body: { deleted: await queue.deleteDeadLetters(ids), ...cursor } };
  const deleted = await queue.deleteDeadLetters([id]);
  return deleted === 0 ? notFound(`dead letter ${id} not found`) : { status: 200, body: { deleted } };
}

function byQuery(search: URLSearchParams): (letter: ReturnType<typeof showDeadLetter>) => boolean {
  const ids = search.getAll('dlqIds');
  const filters = [...search].filter(([key]) => !['dlqIds', 'count', 'cursor'].includes(key));
  return (letter) =>
    (ids.length === 0 || ids.includes(letter.dlqId)) &&
    filters.every(([key, value]) => String(Object.getOwnPropertyDescriptor(letter, key)?.value) === value);
}

function showMessage(message: Message) {
  const { key = undefined, parallelism = null, rate = null, periodMs = 0 } = message.flow ?? {};
  return {
    messageId: message.messageId,
    url: message.url,
    method: message.method,
    header: toHeaderLists(message.headers),
    body: Buffer.from(message.bodyBase64, 'base64').toString('utf8'),
    maxRetries: message.retriesMax,
    notBefore: message.dueMs,
    createdAt: message.createdAtMs,
    retried: message.retried,
    failureCallback: message.failureCallback?.url,
    scheduleId: message.scheduleId ?? undefined,
    flowControlKey: key,
    ...(parallelism === null ? {} : { parallelism }),
    ...(rate === null ? {} : { rate, period: periodMs / 1_000 }),
  };
}

function showDeadLetter({ dlqId, message, ...response }: DeadLetter) {
  return {
    ...showMessage(message),
    dlqId,
    responseStatus: response.responseStatus,
    responseHeader: response.responseHeaders,
    responseBody: Buffer.from(response.responseBodyBase64, 'base64').toString('utf8'),
  };
}

function showSchedule({ spec, ...schedule }: Schedule) {
  return {
    scheduleId: schedule.scheduleId,
    cron: schedule.cron,
    destination: spec.url,
    method: spec.method,
    header: toHeaderLists(spec.headers),
    body: Buffer.from(spec.bodyBase64, 'base64').toString('utf8'),
    retries: spec.retriesMax,
    delay: spec.delayMs / 1_000,
    failureCallback: spec.failureCallback?.url,
    createdAt: schedule.createdAtMs,
    isPaused: schedule.isPaused,
    lastScheduleTime: schedule.lastMs ?? undefined,
    nextScheduleTime: schedule.nextMs,
  };
}

/** Splits what follows a resource's name: `/ID/ACTION?QUERY`, each of them optional. */
function splitRest(rest: string): { id: string; action: string; search: URLSearchParams } {
  const [path = '', query = ''] = rest.split('?', 2);
  const [, id = '', action = ''] = path.split('/');
  return { id, action, search: new URLSearchParams(query) };
}

function flattenHeaders(request: FrontRequest): PublishHeaders {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : value,
    ]),
  );
}

function isBatchItem(
  item: unknown,
): item is { destination: string; headers?: Record<string, string>; body?: string } {
  if (typeof item !== 'object' || item === null) return false;
  const { destination, headers, body } = item as Record<string, unknown>;
  return (
    typeof destination === 'string' &&
    (headers === undefined || (typeof headers === 'object' && headers !== null)) &&
    (body === undefined || typeof body === 'string')
  );
}

function notFound(error: string): FrontReply {
  return { status: 404, body: { error } };
}
