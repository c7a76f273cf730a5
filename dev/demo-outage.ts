/**
 * `npm run demo -- outage`: a swarm writes while Redis, Postgres and both are killed, and loses no acknowledged write.
 * `npm run demo -- kills`: the same while every 5 seconds a store, both stores or the Worker is killed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { issueKey } from './first-world.ts';
import type { Stack } from './stack.ts';
import type { DevWorker } from './worker.ts';

const TENANT_ID = 'demo';
const SPACE_ID = 'arena';
const WRITERS = 8;
/** Milliseconds between two writes of a writer. */
const WRITE_MS = 100;
/** Milliseconds after which a writer gives an answer up. */
const ANSWER_MS_MAX = 12_000;
/** Seconds of each outage by default. The time before and after it is half as long. */
export const AWAY_SECONDS = 20;
/** Minutes of kills by default, and seconds between two kills. */
export const KILL_MINUTES = 10;
const KILL_SECONDS = 5;
/** Seconds between two lines while the kills go on. */
const KILL_LINE_SECONDS = 10;
/** Seconds in which everything must be committed at the end. */
const SETTLE_SECONDS_MAX = 90;

type Store = 'postgres' | 'redis';
const OUTAGES: readonly { name: string; stores: readonly Store[] }[] = [
  { name: 'Redis is away', stores: ['redis'] },
  { name: 'Postgres is away', stores: ['postgres'] },
  { name: 'both are away', stores: ['redis', 'postgres'] },
];
const OUTCOMES = ['queued', 'spilled', 'refused', 'unknown'] as const;
type Outcome = (typeof OUTCOMES)[number];

/** An acknowledged write: an object, or a message. */
interface Acknowledged {
  kind: 'object' | 'message';
  id: string;
  outcome: Outcome;
}

type Say = (line: string) => void;

/** @returns 0 if no acknowledged write is lost, and no message is there twice */
export async function demonstrateOutages(
  { stack, worker }: { stack: Stack; worker: DevWorker },
  { awaySeconds, say }: { awaySeconds: number; say: Say },
): Promise<number> {
  const [awayMs, calmMs] = [awaySeconds * 1_000, awaySeconds * 500];
  const swarm = await startSwarm(stack, worker.url);
  let now = 'all stores are there';
  const watching = setInterval(() => say(swarm.describeSecond(now)), 1_000);
  try {
    await delay(calmMs);
    for (const { name, stores } of OUTAGES) {
      await Promise.all(stores.map((store) => stack[store].kill()));
      now = name;
      await delay(awayMs);
      now = 'starting again';
      await Promise.all(stores.map((store) => stack.restart(store)));
      now = 'all stores are back';
      await delay(calmMs);
    }
    now = 'nobody writes';
    return await swarm.report(say);
  } finally {
    clearInterval(watching);
    await swarm.stop();
  }
}

/** Each victim is started again immediately. @returns 0 if no acknowledged write is lost, and no message is there twice */
export async function demonstrateKills(
  { stack, worker }: { stack: Stack; worker: DevWorker },
  { minutes, restartWorker, say }: { minutes: number; restartWorker: () => Promise<void>; say: Say },
): Promise<number> {
  const swarm = await startSwarm(stack, worker.url);
  const endMs = performance.now() + minutes * 60_000;
  const turns: readonly (Store | 'worker')[][] = [['redis'], ['worker'], ['postgres'], ['redis', 'postgres']];
  let kills = 0;
  const watching = setInterval(
    () => say(swarm.describeSecond(`${kills} kills`, KILL_LINE_SECONDS)),
    KILL_LINE_SECONDS * 1_000,
  );
  try {
    while (performance.now() < endMs) {
      const nextMs = performance.now() + KILL_SECONDS * 1_000;
      const victims = turns[kills++ % turns.length] ?? [];
      await Promise.all(
        victims.map(async (victim) => {
          if (victim === 'worker') return restartWorker();
          await stack[victim].kill();
          await stack.restart(victim);
        }),
      );
      await delay(Math.max(0, nextMs - performance.now()));
    }
    return await swarm.report(say);
  } finally {
    clearInterval(watching);
    await swarm.stop();
  }
}

/** Makes a space, in which the swarm begins to write. */
async function startSwarm(stack: Stack, url: string): Promise<Swarm> {
  const apiKey = await issueKey(stack.values.databaseUrl, TENANT_ID);
  const call: Call = (method, path, body) =>
    fetch(`${url}/v1/spaces/${SPACE_ID}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
  await call('PUT', '', { name: 'Arena' });
  return new Swarm(call);
}

type Call = (method: string, path: string, body?: object) => Promise<Response>;

/** Writers that create objects, and post a message with every tenth. The ledger of their answers is outside of the product. */
class Swarm {
  readonly #call: Call;
  readonly #acknowledged: Acknowledged[] = [];
  readonly #counts = new Map<Outcome, number>();
  readonly #writing: Promise<void>[];
  #isOver = false;
  #second: { outcomes: Map<Outcome, number>; longestMs: number } = { outcomes: new Map(), longestMs: 0 };
  #seconds = 0;
  readonly #beganMs = performance.now();

  constructor(call: Call) {
    this.#call = call;
    this.#writing = Array.from({ length: WRITERS }, (_, writer) => this.#write(writer));
  }

  get total(): number {
    return OUTCOMES.reduce((sum, outcome) => sum + this.count(outcome), 0);
  }

  count(outcome: Outcome): number {
    return this.#counts.get(outcome) ?? 0;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#writing);
  }

  /** One line: what callers saw in the last second, or in the last seconds. */
  describeSecond(now: string, seconds = 1): string {
    const { outcomes, longestMs } = this.#second;
    this.#second = { outcomes: new Map(), longestMs: 0 };
    const counts = OUTCOMES.map((outcome) => `${outcome} ${String(outcomes.get(outcome) ?? 0).padStart(3)}`);
    this.#seconds += seconds;
    const time = `${String(this.#seconds).padStart(4)} s`;
    return `${time}  ${now.padEnd(20)}  ${counts.join('  ')}  longest ${Math.round(longestMs)} ms`;
  }

  async #write(writer: number): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      const id = `of-${writer}-${turn}`;
      const isMessage = turn % 10 === 9;
      const op = isMessage ? { op: 'chat.post', text: id } : { op: 'put', id, name: id };
      const beganMs = performance.now();
      const outcome = await this.#send(op);
      this.#note(outcome, performance.now() - beganMs);
      if (outcome === 'queued' || outcome === 'spilled')
        this.#acknowledged.push({ kind: isMessage ? 'message' : 'object', id, outcome });
      await delay(WRITE_MS);
    }
  }

  async #send(op: object): Promise<Outcome> {
    try {
      const response = await this.#call('POST', '/updates', { ops: [op] });
      const { durability } = (await response.json()) as { durability?: Outcome };
      return response.status === 202 && durability !== undefined ? durability : 'refused';
    } catch {
      return 'unknown';
    }
  }

  #note(outcome: Outcome, ms: number): void {
    this.#counts.set(outcome, this.count(outcome) + 1);
    const { outcomes } = this.#second;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    this.#second.longestMs = Math.max(this.#second.longestMs, ms);
  }

  /** Ends, and says which acknowledged writes Postgres has. @returns 0 if it has each of them, and each message once */
  async report(say: Say): Promise<number> {
    await this.stop();
    const settledMs = performance.now();
    const { lost, doubled } = await this.#findMissing(SETTLE_SECONDS_MAX);
    const wait = Math.round((performance.now() - settledMs) / 100) / 10;
    say('');
    say(
      `   ${Math.round((settledMs - this.#beganMs) / 1_000)} s, ${this.total} writes of ${WRITERS} writers`,
    );
    for (const outcome of OUTCOMES) {
      const isKept = outcome === 'queued' || outcome === 'spilled';
      const lostHere = lost.filter((write) => write.outcome === outcome).length;
      say(`   ${outcome.padEnd(10)} ${this.count(outcome)}${isKept ? `, lost ${lostHere}` : ''}`);
    }
    say(`   all acknowledged writes were committed after ${wait} s`);
    say(`   acknowledged and lost   ${lost.length}`);
    say(`   messages there twice    ${doubled.length}`);
    for (const id of [...lost.map((write) => write.id), ...doubled].slice(0, 20)) say(`     ${id}`);
    const isWhole = lost.length + doubled.length === 0;
    say(isWhole ? 'No acknowledged write was lost.' : 'Acknowledged writes were LOST or doubled.');
    return isWhole ? 0 : 1;
  }

  /** Compares the ledger with Postgres, until everything is there or the time is over. */
  async #findMissing(secondsMax: number): Promise<{ lost: Acknowledged[]; doubled: string[] }> {
    const endMs = performance.now() + secondsMax * 1_000;
    for (;;) {
      const found = await this.#compare().catch(() => null);
      if (found !== null && (found.lost.length === 0 || performance.now() > endMs)) return found;
      if (found === null && performance.now() > endMs) throw new Error('The world cannot be read.');
      await delay(500);
    }
  }

  async #compare(): Promise<{ lost: Acknowledged[]; doubled: string[] }> {
    const objects = await this.#list<{ id: string }>('/objects');
    const messages = await this.#list<{ text: string }>('/chat');
    const there = {
      object: new Set(objects.map(({ id }) => id)),
      message: new Set(messages.map(({ text }) => text)),
    };
    const texts = messages.map(({ text }) => text);
    return {
      lost: this.#acknowledged.filter(({ kind, id }) => !there[kind].has(id)),
      doubled: texts.filter((text, i) => texts.indexOf(text) !== i),
    };
  }

  async #list<Item>(path: string): Promise<Item[]> {
    const all: Item[] = [];
    for (let cursor = ''; ; ) {
      const response = await this.#call('GET', `${path}?limit=1000${cursor && `&cursor=${cursor}`}`);
      if (!response.ok) throw new Error(`GET ${path} was answered ${response.status}`);
      const { items, nextCursor } = (await response.json()) as { items: Item[]; nextCursor: string | null };
      all.push(...items);
      if (nextCursor === null) return all;
      cursor = nextCursor;
    }
  }
}
