#!/usr/bin/env node
/**
 * `npm run demo`: a world is imported and changed, everything is killed, started again, and is the same world.
 * `npm run demo -- outage`: the stores are killed one after the other, for 20 s or as many as are given, while a swarm writes.
 * `npm run demo -- kills`: every 5 s a store, both stores or the Worker is killed, for 10 minutes or as many as are given.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { migrate } from '../drizzle/migrate.ts';
import { parseQueueConfig } from '../src/config.ts';
import { createSchedules } from '../src/qstash/schedules.ts';
import type { WorldObject, WorldState } from '../src/world/types.ts';
import { compareWorlds } from './compare-worlds.ts';
import { AWAY_SECONDS, demonstrateKills, demonstrateOutages, KILL_MINUTES } from './demo-outage.ts';
import { makeTown } from './demo-scene.ts';
import { issueKey } from './first-world.ts';
import { findFreePort } from './ports.ts';
import { ANY_PORTS, makeTemporaryDir, type Stack, startStack } from './stack.ts';
import { buildWorkerVariables, type DevWorker, startWorker } from './worker.ts';

const PROJECT = resolve(import.meta.dirname, '..');
const TENANT_ID = 'demo';
const SPACE_ID = 'town';
/** Acknowledged writes before the kill, and how many run at the same time. */
const WRITES_BEFORE_KILL = 400;
const WRITERS = 8;

const say = (line: string) => process.stdout.write(`${line}\n`);

const USAGE = [
  'npm run demo                      kills everything in the middle of writing, and compares the world',
  'npm run demo -- outage [seconds]  kills Redis, Postgres, then both, for 20 s or as long as given',
  'npm run demo -- kills [minutes]   kills a store, both or the Worker every 5 s, for 10 minutes or as long as given',
].join('\n');

async function start(dir: string): Promise<{ stack: Stack; worker: DevWorker }> {
  const stack = await startStack({
    dir,
    ephemeral: false,
    ports: ANY_PORTS,
    log: (line) => say(`  ${line}`),
  });
  const { migrationUrl, databaseUrl } = stack.values;
  await migrate({ migrationUrl, appUrl: databaseUrl, log: (line) => say(`  ${line}`) });
  const port = await findFreePort(0, new Set(Object.values(stack.ports)));
  return { stack, worker: await startDevWorker(dir, stack, port) };
}

function startDevWorker(dir: string, { values, lock }: Stack, port: number): Promise<DevWorker> {
  return startWorker({ dir, port, variables: buildWorkerVariables(values), onSpawn: lock.record });
}

class Client {
  readonly #url: string;
  readonly #apiKey: string;

  constructor(url: string, apiKey: string) {
    this.#url = url;
    this.#apiKey = apiKey;
  }

  async send(method: string, path: string, body?: object): Promise<Response> {
    const response = await fetch(`${this.#url}/v1/spaces/${SPACE_ID}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#apiKey}`,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok)
      throw new Error(`${method} ${path} was answered ${response.status}: ${await response.text()}`);
    return response;
  }

  async readState(): Promise<WorldState> {
    return (await this.send('GET', '/state')).json() as Promise<WorldState>;
  }
}

type Expected = Map<string, (WorldObject | null)[]>;

/** A move, a new object or a removal: the `turn`-th change, of one of the objects that this writer alone changes. */
async function change(client: Client, expected: Expected, mine: WorldObject[], turn: number): Promise<void> {
  const object = mine[turn % mine.length];
  if (object === undefined) return;
  const before = expected.get(object.id) ?? [null];
  const at = `/objects/${object.id}`;
  const position = { x: Math.sin(turn) * 100, y: turn / 3, z: Math.cos(turn) * 100 };
  const known = before[0] ?? null;
  // The file records a write before it is sent: without an answer, the object may have the value before or after.
  const underWay = (after: WorldObject | null) => expected.set(object.id, [...before, after]);
  if (turn % 10 === 9 && known !== null) {
    underWay(null);
    await client.send('DELETE', at);
    expected.set(object.id, [null]);
    return;
  }
  const body = { position, properties: { moved: turn } };
  const after = { ...(known ?? object), ...body, properties: { ...known?.properties, ...body.properties } };
  underWay(after);
  const response = known === null ? await client.send('PUT', at, body) : await client.send('PATCH', at, body);
  expected.set(object.id, [(await response.json()) as WorldObject]);
}

/** Changes the world with several parallel writers until the connection breaks. @returns how many writes were acknowledged. */
async function changeUntilKilled(
  client: Client,
  expected: Expected,
  objects: WorldObject[],
  kill: () => Promise<void>,
): Promise<number> {
  let acknowledged = 0;
  let killing: Promise<void> | null = null;
  const write = async (writer: number) => {
    const mine = objects.filter((_, i) => i % WRITERS === writer);
    for (let turn = writer; ; turn++) {
      try {
        await change(client, expected, mine, turn);
      } catch (error) {
        // Only the power cut may refuse a write.
        if (killing === null) throw error;
        return;
      }
      if (++acknowledged === WRITES_BEFORE_KILL) killing = kill();
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  await killing;
  return acknowledged;
}

/** A write whose answer never came has a seq and a time that nobody was told: only what was asked for is known of it. */
function forgetUntold(expected: Expected, actual: WorldObject[]): Expected {
  const byId = new Map(actual.map((object) => [object.id, object]));
  return new Map(
    [...expected].map(([id, choices]) => [
      id,
      choices.map((choice, i) => {
        const found = byId.get(id);
        if (i === 0 || choice === null || found === undefined) return choice;
        const { seq, createdAt, createdBy, updatedAt, updatedBy, name, parentId, rotation, scale } = found;
        const told = choices[0];
        const kept = told ? {} : { createdAt, createdBy, name, parentId, rotation, scale };
        return { ...choice, ...kept, seq, updatedAt, updatedBy };
      }),
    ]),
  );
}

async function run(): Promise<number> {
  const [, , what, length] = process.argv;
  const isKnown = what === undefined || what === 'outage' || what === 'kills';
  if (!isKnown || (length !== undefined && !(Number(length) > 0))) {
    say(USAGE);
    return what === '--help' ? 0 : 2;
  }
  const dir = await makeTemporaryDir();
  let running: { stack: Stack; worker: DevWorker } | null = null;
  const end = async () => {
    await running?.worker.stop();
    await running?.stack.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void end().finally(() => process.exit(1)));
  try {
    say('1. starting Postgres, Redis, the emulators and the Worker');
    running = await start(dir);
    if (what === 'outage')
      return await demonstrateOutages(running, { awaySeconds: Number(length ?? AWAY_SECONDS), say });
    if (what === 'kills') {
      const started = running;
      // A Worker that is killed returns no spilled request: the schedule does, each minute.
      const variables = { ...buildWorkerVariables(started.stack.values), PUBLIC_URL: started.worker.url };
      await createSchedules(parseQueueConfig(variables)).apply();
      const restartWorker = async () => {
        await started.worker.kill();
        started.worker = await startDevWorker(dir, started.stack, started.worker.port);
      };
      return await demonstrateKills(started, { minutes: Number(length ?? KILL_MINUTES), restartWorker, say });
    }
    const apiKey = await issueKey(running.stack.values.databaseUrl, TENANT_ID);

    const scene = join(dir, 'town.gltf');
    const town = makeTown();
    writeFileSync(scene, JSON.stringify(town));
    say(`2. importing town.gltf: ${town.nodes.length} nodes`);
    const env = { ...process.env, WORLDKEEP_URL: running.worker.url, WORLDKEEP_API_KEY: apiKey };
    const cli = join(PROJECT, 'src/cli/worldkeep.ts');
    // Not a synchronous call: the emulators that the Worker talks to run in this process.
    const importing = spawn(process.execPath, [cli, 'import', scene, '--space', SPACE_ID], {
      env,
      stdio: 'inherit',
    });
    const [code] = await once(importing, 'exit');
    if (code !== 0) throw new Error(`worldkeep import ended with ${code}`);

    const client = new Client(running.worker.url, apiKey);
    const { objects } = await client.readState();
    if (objects.length !== town.nodes.length)
      throw new Error(`${town.nodes.length} nodes were imported, and ${objects.length} objects are there`);
    const expected: Expected = new Map(objects.map((object) => [object.id, [object]]));

    say(
      `3. ${WRITERS} writers move, remove and remake objects; after ${WRITES_BEFORE_KILL} acknowledged writes,`,
    );
    say('   with more under way, SIGKILL to the Worker, Postgres and Redis');
    const { stack, worker } = running;
    const kill = async () => {
      await Promise.all([worker.kill(), stack.kill()]);
    };
    const acknowledged = await changeUntilKilled(client, expected, objects, kill);
    running = null;

    say('4. starting everything again on the same data');
    running = await start(dir);
    const state = await new Client(running.worker.url, apiKey).readState();

    const cutOff = [...expected.values()].filter((choices) => choices.length > 1).length;
    const { missing, unexpected, different, ...compared } = compareWorlds(
      forgetUntold(expected, state.objects),
      state.objects,
    );
    say('5. the world before and after, object by object:');
    say(`   acknowledged writes  ${acknowledged} (${cutOff} more were under way when the power went)`);
    say(`   objects compared     ${compared.objects}, ${compared.values} values, numbers to the last bit`);
    say(`   the same             ${compared.same}`);
    say(`   missing              ${missing.length}`);
    say(`   unexpected           ${unexpected.length}`);
    say(`   different            ${different.length}`);
    const wrong = [...missing, ...unexpected, ...different];
    for (const what of wrong.slice(0, 20)) say(`     ${what}`);
    say(wrong.length === 0 ? 'The world survived: it is the same world.' : 'The world did NOT survive.');
    return wrong.length === 0 ? 0 : 1;
  } finally {
    await end();
  }
}

process.exit(await run());
