import { find } from '../dom.ts';
import type { Context, Section } from './context.ts';
import { formatTime, isolate, make, makeButton, makeRow, makeTime, showText } from './elements.ts';
import { type ActiveSpace, type Operations, readSample, type StoreHealth } from './operations.ts';
import { showPlots } from './plots.ts';
import { poll } from './poll.ts';
import { History, readRate } from './rates.ts';
import { describeFailure, Refused } from './server.ts';

const POLL_MS = 2_000;
const BACK_OFF_MS_MAX = 60_000;
/** Counts of the tenant change slowly, and cost a query. */
const COUNTS_MS = 10_000;

/** The part of GET /health that the overview shows. */
interface Health extends StoreHealth {
  worldState: { users: number | null; objects: number | null; models: number | null };
  log: 'ok' | 'evicts' | 'full' | 'away' | 'none';
}

const LOG_WORDS: Record<Health['log'], string> = {
  ok: 'takes writes',
  evicts: 'refuses writes: Redis may evict keys',
  full: 'refuses writes: Redis has no memory left',
  away: 'away',
  none: 'none: no Redis is configured',
};

/** Live figures: plots, the stores, and the spaces with the most to do. */
export function showOverview(context: Context): Section {
  const { server, signal } = context;
  const history = new History();
  const draw = showPlots(find('plots'), history, signal);
  const problem = find('overview-problem');
  let before: Operations | null = null;
  let health: Health | null = null;
  let healthAtMs = 0;
  const readHealth = async () => {
    healthAtMs = Date.now();
    // 503: the server is down, and the answer says since when.
    health = await server.call<Health>('GET', '/health', { accepted: 503 }).catch(() => null);
    return health;
  };
  const startTimer = (task: () => void, ms: number) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  };
  poll<Operations>({
    read: async () => {
      if (Date.now() - healthAtMs >= COUNTS_MS) await readHealth();
      return server.call<Operations>('GET', '/v1/operations');
    },
    onAnswer(answer) {
      history.add(readSample(answer));
      draw();
      showText(problem, null);
      showStores(answer.health);
      showFigures(answer, health);
      showSpaces(answer, before, context);
      showConnection(...describeHealth(answer.health));
      before = answer;
    },
    onFailure(error, retryMs) {
      const seconds = Math.round(retryMs / 1_000);
      showConnection('offline', `No figures. Next try in ${seconds} s`);
      const missing =
        error instanceof Refused && error.isMissing
          ? `This server does not offer live figures: ${error.message}`
          : describeFailure(error);
      showText(problem, missing);
      // A process that does not know the key needs Postgres for it, so only the health tells of an outage then.
      if (error instanceof Refused && error.status === 503)
        void readHealth().then((read) => read !== null && !signal.aborted && showStores(read));
    },
    everyMs: POLL_MS,
    backOffMsMax: BACK_OFF_MS_MAX,
    isVisible: () => document.visibilityState === 'visible',
    onVisibility: (listener) => document.addEventListener('visibilitychange', listener, { signal }),
    startTimer,
    signal,
  });
  return { show: draw };
}

function describeHealth({ status, awaySince }: StoreHealth): ['live' | 'away' | 'offline', string] {
  const away = Object.entries({ Postgres: awaySince.database, Redis: awaySince.cache }).flatMap(
    ([name, since]) => (since === null ? [] : [`${name} is away since ${formatTime(since)}`]),
  );
  const level = status === 'ok' ? 'live' : status === 'degraded' ? 'away' : 'offline';
  return [
    level,
    away.length === 0 ? (status === 'ok' ? 'Live' : `The server is ${status}`) : away.join(', '),
  ];
}

function showConnection(status: 'live' | 'away' | 'offline', text: string): void {
  const connection = find('connection');
  connection.dataset.status = status;
  const words = connection.querySelector('span');
  // The same text again would be read aloud again.
  if (words !== null && words.textContent !== text) words.textContent = text;
}

function showStores({ persistence, awaySince }: StoreHealth): void {
  const describe = (name: string, answers: boolean, since: string | null) => {
    const dot = make('i', { className: 'dot' });
    dot.ariaHidden = 'true';
    const item = make('li', {}, dot, make('b', {}, name), ' ');
    item.dataset.status = answers ? 'live' : since === null ? 'none' : 'offline';
    if (answers) item.append('answers');
    else if (since === null) item.append('does not answer, or is not configured');
    else item.append('away since ', makeTime(since));
    return item;
  };
  find('stores').replaceChildren(
    describe('Postgres', persistence.database, awaySince.database),
    describe('Redis', persistence.cache, awaySince.cache),
  );
}

function showFigures({ tenant, deployment }: Operations, health: Health | null): void {
  const figure = (name: string, value: number | string | null) =>
    make('li', {}, `${name} `, make('b', {}, value ?? 'unknown'));
  const ofAll = (name: string, value: number | null) => (deployment === null ? [] : [figure(name, value)]);
  find('figures').replaceChildren(
    figure('Objects', health?.worldState.objects ?? null),
    figure('People', health?.worldState.users ?? null),
    figure('Models', health?.worldState.models ?? null),
    figure('Pending spaces', tenant.pendingSpaces),
    figure('Pending entries', tenant.pendingEntries),
    figure('Pending bytes', tenant.pendingBytes),
    figure('Spilled requests', tenant.spilled),
    figure('The log', health === null ? null : LOG_WORDS[health.log]),
    ...ofAll('Streams of all tenants', deployment?.streams ?? null),
    ...ofAll('Pending spaces of all tenants', deployment?.pendingSpaces ?? null),
  );
}

function showSpaces({ at, spaces }: Operations, before: Operations | null, context: Context): void {
  const seconds = before === null ? 0 : (Date.parse(at) - Date.parse(before.at)) / 1_000;
  const known = new Map(before?.spaces.map((space) => [space.id, space]));
  const rateOf = ({ id, appended }: ActiveSpace) => {
    return readRate(known.get(id)?.appended ?? null, appended, seconds);
  };
  const rows = spaces
    .map((space) => ({ space, rate: rateOf(space) }))
    .sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.space.pendingOperations - a.space.pendingOperations);
  const table = find<HTMLTableElement>('active-spaces');
  const [body] = table.tBodies;
  // The buttons keep the focus while the figures change.
  const focused =
    document.activeElement instanceof HTMLElement ? document.activeElement.dataset.of : undefined;
  body?.replaceChildren(
    ...rows.map(({ space, rate }) =>
      makeRow(
        isolate(space.id),
        rate === null ? '–' : rate.toLocaleString(undefined, { maximumFractionDigits: 1 }),
        space.pendingOperations,
        `${Math.round(space.oldestPendingMs).toLocaleString()} ms`,
        space.streams,
        space.sessions,
        actions(space.id, context),
      ),
    ),
  );
  if (focused !== undefined)
    for (const button of table.querySelectorAll('button')) if (button.dataset.of === focused) button.focus();
}

function actions(space: string, context: Context): Node[] {
  const buttons = [
    makeButton('Objects', () => context.openObjects(space)),
    makeButton('Audit', () => context.openAudit({ space })),
  ];
  for (const button of buttons) {
    button.dataset.of = `${button.textContent} of ${space}`;
    button.ariaLabel = button.dataset.of;
  }
  return buttons;
}
