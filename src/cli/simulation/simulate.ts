import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { pause } from '../../helpers/time.ts';
import type { Vector3 } from '../../world/types.ts';
import { Api } from '../api.ts';
import type { Context } from '../command.ts';
import type { Connection } from '../connection.ts';
import { CommandError } from '../errors.ts';
import { Circle } from './circle.ts';
import { SimulatedClient } from './client.ts';
import { createPeople, erasePeople, forEachSome } from './people.ts';
import type { Latency, Report } from './report.ts';

export interface Plan {
  /** Part of all ids, so that two runs do not meet. */
  run: string;
  space: string;
  users: number;
  /** Moves of each user in a second. */
  hz: number;
  seconds: number;
}

/** Clients that read all changes. */
const WATCHERS_MAX = 5;
/** Clients that connect at the same time. */
const CONNECTING_MAX = 10;
/** Milliseconds between two looks at the clock. */
const TICK_MS = 4;
/** Milliseconds for which moves may still be called after their time. */
const OVERTIME_MS = 1_000;
/** Milliseconds for which the last positions may take to be acknowledged and shown: in all, and without any news. */
const SETTLE_MS_MAX = 300_000;
const SETTLE_SILENT_MS_MAX = 15_000;
const SETTLE_STEP_MS = 50;
/** Milliseconds for which a client may send when it closes. */
const CLOSE_MS_MAX = 5_000;
const LOST_SHOWN_MAX = 10;

/** Plays users that move an object each. Deletes everything that it created, also if it fails or is interrupted. */
export async function simulate(plan: Plan, connection: Connection, context: Context): Promise<Report> {
  const api = new Api(connection, context.signal);
  if ((await api.getSpace(plan.space)) === null)
    throw new CommandError('not_found', `there is no space ${plan.space}`, { status: 404 });
  const simulation = new Simulation(plan, connection, api, context);
  let report: Report;
  try {
    report = await simulation.run();
  } catch (error) {
    await simulation.end();
    throw context.signal.aborted ? new CommandError('interrupted', 'interrupted') : error;
  }
  return { ...report, leftBehind: await simulation.end() };
}

class Simulation {
  readonly #plan: Plan;
  readonly #connection: Connection;
  readonly #api: Api;
  /** Its requests ignore Ctrl-C. */
  readonly #calmApi: Api;
  readonly #context: Context;
  /** People that may be on the server. */
  readonly #created: string[] = [];
  readonly #clients: SimulatedClient[] = [];
  readonly #errors: Record<string, number> = {};
  readonly #late = createHistogram();
  readonly #seen = createHistogram();
  /** `performance.now()` at the first move. */
  #startMs = 0;
  #made = 0;

  constructor(plan: Plan, connection: Connection, api: Api, context: Context) {
    this.#plan = plan;
    this.#connection = connection;
    this.#api = api;
    this.#calmApi = new Api(connection);
    this.#context = context;
  }

  async run(): Promise<Report> {
    const { run, space, users, hz, seconds } = this.#plan;
    const { url, apiKey } = this.#connection;
    const { progress, signal } = this.#context;
    const creating = progress.startCount('created', users, 'users');
    const people = await createPeople(this.#calmApi, {
      space,
      ids: Array.from({ length: users }, (_, n) => `sim-${run}-${n}`),
      seconds,
      apiKey,
      task: creating,
      signal,
      onCreate: (id) => this.#created.push(id),
    });
    const credentials = people.some(({ token }) => token === apiKey) ? 'key' : 'session';
    if (credentials === 'session') creating.finish();
    else progress.note('the server has no SESSION_SIGNING_KEY: all users share the API key');
    const connecting = progress.startCount('connected', users, 'clients');
    let connected = 0;
    signal.addEventListener('abort', () => void this.#close());
    await forEachSome(people.entries(), CONNECTING_MAX, async ([n, person]) => {
      if (signal.aborted) throw new CommandError('interrupted', 'interrupted');
      const client = new SimulatedClient({
        url,
        space,
        person,
        circle: new Circle(n, users, seconds * 1_000 + OVERTIME_MS),
        isWatching: n < WATCHERS_MAX,
        onError: (code) => {
          this.#errors[code] = (this.#errors[code] ?? 0) + 1;
        },
      });
      this.#clients.push(client);
      await client.begin();
      connecting.update(++connected);
    });
    connecting.finish();
    this.#watch();
    await this.#move();
    const lost = await this.#settle();
    const sum = (read: (client: SimulatedClient) => number) =>
      this.#clients.reduce((total, client) => total + read(client), 0);
    return {
      run,
      space,
      users,
      hz,
      seconds,
      credentials,
      moves: { planned: users * hz * seconds, made: this.#made, late: readLatency(this.#late) },
      operations: {
        sent: sum(({ sent }) => sent),
        acknowledged: sum(({ acknowledged }) => acknowledged),
        refused: sum(({ refused }) => refused),
      },
      seen: {
        watchers: this.#watchers.length,
        updates: this.#seen.count,
        latency: readLatency(this.#seen),
      },
      lost: { objects: lost.length, first: lost.slice(0, LOST_SHOWN_MAX) },
      errors: this.#errors,
      reconnects: sum(({ reconnects }) => reconnects),
      leftBehind: { objects: 0, users: 0 },
    };
  }

  /** Closes all clients and deletes everything. @returns the number of things that could not be deleted */
  async end(): Promise<Report['leftBehind']> {
    const { progress } = this.#context;
    progress.stop();
    await this.#close();
    const ids = this.#clients.map(({ id }) => id);
    let objects = 0;
    try {
      if (ids.length > 0) await this.#calmApi.deleteObjects(this.#plan.space, ids);
    } catch (error) {
      objects = ids.length;
      progress.note(`objects cannot be deleted: ${describe(error)}`);
    }
    const { left, cause } = await erasePeople(this.#calmApi, this.#created);
    if (left.length > 0) progress.note(`users cannot be deleted: ${describe(cause)}`);
    return { objects, users: left.length };
  }

  async #close(): Promise<void> {
    await Promise.all(this.#clients.map(({ world }) => world.close({ timeoutMs: CLOSE_MS_MAX })));
  }

  get #watchers(): SimulatedClient[] {
    return this.#clients.filter(({ isWatching }) => isWatching);
  }

  /** Measures each change of another's object, from the call of `move`, which the position tells. */
  #watch(): void {
    const circles = new Map(this.#clients.map(({ id, circle }) => [id, circle]));
    for (const watcher of this.#watchers)
      watcher.world.objects.on('change', ({ id, position }) => {
        const circle = circles.get(id);
        if (circle === undefined || id === watcher.id) return;
        record(this.#seen, performance.now() - this.#startMs - circle.readElapsedMs(position));
      });
  }

  /** Calls each move at its time. A user whose move comes after the time of the next one leaves it out, as a slow program does. */
  async #move(): Promise<void> {
    const { users, hz, seconds } = this.#plan;
    const { progress, signal } = this.#context;
    const planned = users * hz * seconds;
    const endMs = seconds * 1_000 + OVERTIME_MS;
    const stepMs = 1_000 / (users * hz);
    const task = progress.startCount('made', planned, 'moves');
    this.#startMs = performance.now();
    for (let next = 0; next < planned; ) {
      await pause(TICK_MS);
      if (signal.aborted) throw new CommandError('interrupted', 'interrupted');
      let elapsedMs = performance.now() - this.#startMs;
      const due = Math.min(planned, Math.floor(elapsedMs / stepMs) + 1);
      next = Math.max(next, due - users);
      for (; next < due; next++) {
        elapsedMs = performance.now() - this.#startMs;
        if (elapsedMs >= endMs) return task.finish(this.#made);
        (this.#clients[next % users] as SimulatedClient).move(elapsedMs);
        record(this.#late, elapsedMs - next * stepMs);
        this.#made++;
      }
      task.update(this.#made);
    }
    task.finish(this.#made);
  }

  /** Waits until all last positions are acknowledged and shown, as long as there is news. @returns the lost ones */
  async #settle(): Promise<Report['lost']['first']> {
    const { progress, signal } = this.#context;
    const startMs = performance.now();
    const watchers = this.#watchers;
    const isShownByAll = (client: SimulatedClient) =>
      watchers.every(
        ({ id, world }) => id === client.id || isShown(client, world.objects.get(client.id)?.position),
      );
    const isSettled = (client: SimulatedClient) => client.open === 0 && isShownByAll(client);
    const countOpen = () => this.#clients.reduce((sum, { open }) => sum + open, 0);
    let heardMs = startMs;
    for (let news = ''; !this.#clients.every(isSettled); ) {
      const now = performance.now();
      const newer = `${this.#seen.count} ${countOpen()}`;
      if (newer !== news) heardMs = now;
      news = newer;
      if (now >= heardMs + SETTLE_SILENT_MS_MAX || now >= startMs + SETTLE_MS_MAX) break;
      if (signal.aborted) throw new CommandError('interrupted', 'interrupted');
      await pause(SETTLE_STEP_MS);
    }
    if (countOpen() > 0) progress.note(`${countOpen()} moves had no answer`);
    const positions = await this.#loadPositions();
    return this.#clients.flatMap((client) => {
      if (!isShown(client, positions.get(client.id))) return { id: client.id, missingIn: 'state' as const };
      return isShownByAll(client) ? [] : { id: client.id, missingIn: 'clients' as const };
    });
  }

  async #loadPositions(): Promise<Map<string, Vector3>> {
    const bytes = await this.#api.getState(this.#plan.space, () => undefined);
    const { objects } = JSON.parse(new TextDecoder().decode(bytes ?? Buffer.from('{"objects":[]}'))) as {
      objects: { id: string; position: Vector3 }[];
    };
    return new Map(objects.map(({ id, position }) => [id, position]));
  }
}

/** Whether a place is the last acknowledged one of a client, or a later one. */
function isShown({ circle, acknowledgedMs }: SimulatedClient, position: Vector3 | undefined): boolean {
  if (acknowledgedMs === null) return true;
  if (position === undefined) return false;
  return circle.readElapsedMs(position) >= circle.readElapsedMs(circle.placeAt(acknowledgedMs));
}

/** Microseconds, because a histogram holds whole numbers from 1. */
function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms * 1_000)));
}

function readLatency(histogram: RecordableHistogram): Latency | null {
  if (histogram.count === 0) return null;
  const read = (percentile: number) => histogram.percentile(percentile) / 1_000;
  return { p50Ms: read(50), p99Ms: read(99) };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
