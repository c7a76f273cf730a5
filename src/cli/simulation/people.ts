import type { Api } from '../api.ts';
import { CommandError } from '../errors.ts';
import type { Task } from '../progress.ts';

/** Requests at the same time. */
const REQUESTS_MAX = 10;
/** Seconds for which a session lasts longer than the moves: for the start and the end of the simulation. */
const SPARE_SECONDS = 3_600;
/** Streams that one API key may have. */
export const KEY_STREAMS_MAX = 100;

export interface Person {
  id: string;
  /** A session token, or the API key. */
  token: string;
}

export interface PeopleOptions {
  space: string;
  ids: readonly string[];
  seconds: number;
  apiKey: string;
  task: Task;
  signal: AbortSignal;
  /** Called before each person is created. */
  onCreate: (id: string) => void;
}

/**
 * Creates people with a session each. If the server has no key to sign sessions, they share the API key.
 * @param api without a signal. @throws CommandError also if the API key cannot have so many streams
 */
export async function createPeople(api: Api, options: PeopleOptions): Promise<Person[]> {
  const { space, ids, seconds, apiKey, task, signal, onCreate } = options;
  const people: Person[] = [];
  const create = async (id: string): Promise<boolean> => {
    // A request that was cut off could create the person after the deletion.
    if (signal.aborted) throw new CommandError('interrupted', 'interrupted');
    onCreate(id);
    await api.putUser(id, { displayName: `Simulated ${id}` });
    const session = await api.postSession({
      userId: id,
      spaceId: space,
      role: 'editor',
      ttlSeconds: seconds + SPARE_SECONDS,
    });
    if (session === null) return false;
    task.update(people.push({ id, token: session.token }));
    return true;
  };
  const [first = '', ...others] = ids;
  if (!(await create(first))) {
    if (ids.length > KEY_STREAMS_MAX)
      throw new CommandError(
        'no_signing_key',
        `the server signs no sessions, and one API key may open ${KEY_STREAMS_MAX} streams: set SESSION_SIGNING_KEY on the server, or use --users ${KEY_STREAMS_MAX} or less`,
      );
    return ids.map((id) => ({ id, token: apiKey }));
  }
  await forEachSome(others, REQUESTS_MAX, create);
  return people;
}

/** Erases people with their sessions. @returns the ids that could not be erased, and the first failure */
export async function erasePeople(
  api: Api,
  ids: readonly string[],
): Promise<{ left: string[]; cause: unknown }> {
  const left: string[] = [];
  let cause: unknown = null;
  await forEachSome(ids, REQUESTS_MAX, async (id) => {
    try {
      await api.deleteUser(id);
    } catch (error) {
      left.push(id);
      cause ??= error;
    }
  });
  return { left, cause };
}

/** Runs for each item, for at most so many at the same time. The first failure ends it, after the running ones. */
export async function forEachSome<Item>(
  items: Iterable<Item>,
  max: number,
  run: (item: Item) => Promise<unknown>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const failures: unknown[] = [];
  const work = async () => {
    for (let next = iterator.next(); !next.done && failures.length === 0; next = iterator.next())
      await run(next.value).catch((error) => failures.push(error));
  };
  await Promise.all(Array.from({ length: max }, work));
  if (failures.length > 0) throw failures[0];
}
