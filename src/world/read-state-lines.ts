import { AppError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { atLine, type JsonLine, parseNdjson } from './ndjson.ts';
import { check } from './schemas.ts';
import { LINE_SCHEMAS } from './state-line-input.ts';
import type { LineCounts, WorldItem } from './state-lines.ts';
import type { WorldInput } from './types.ts';

/** Lines of a world: NDJSON in pieces of any size, or the lines themselves, as values. */
export type StateSource = AsyncIterable<Uint8Array | object>;

const KINDS = Object.keys(LINE_SCHEMAS).join(', ');

/**
 * Reads and checks the lines of a whole world. The last item is the `end` line; without it this throws.
 * @throws malformed_json, validation_failed, body_too_large, with paths like `/17/position/x`: line, then JSON Pointer in it.
 */
export async function* readStateLines(source: StateSource): AsyncGenerator<WorldItem[]> {
  const reader = new LineReader();
  for await (const lines of toLines(source)) {
    const items: WorldItem[] = [];
    for (const { line, value, length } of lines) {
      try {
        const item = reader.read(line, value, length);
        if (item !== null) items.push(item);
      } catch (error) {
        throw atLine(error, line);
      }
    }
    if (items.length > 0) yield items;
  }
  if (!reader.ended)
    throw invalid(
      `/${reader.lines + 1}`,
      'must be the line {"kind":"end"}: the world is not complete without it',
    );
}

type Line = Omit<JsonLine, 'value'> & { value: unknown };

async function* toLines(source: StateSource): AsyncGenerator<Line[]> {
  const iterator = source[Symbol.asyncIterator]();
  const first = await iterator.next();
  const rest: StateSource = {
    [Symbol.asyncIterator]: () => ({
      next: () => iterator.next(),
      return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
    }),
  };
  if (first.done) return;
  if (first.value instanceof Uint8Array) {
    yield* parseNdjson(prepend(first.value, rest as AsyncIterable<Uint8Array>));
    return;
  }
  let line = 0;
  for await (const value of prepend<object>(first.value, rest)) {
    line++;
    yield [{ line, value, length: 0 }];
  }
}

async function* prepend<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

/** All lines read so far. Of the objects it keeps only the number. */
class LineReader {
  ended = false;
  lines = 0;
  readonly #counts: LineCounts = {};
  readonly #users: NonNullable<WorldInput['users']> = [];
  readonly #models: WorldInput['models'] = [];
  readonly #media: WorldInput['media'] = [];
  readonly #chat: WorldInput['chat'] = [];
  readonly #seen = new Set<string>();
  #asideLength = 0;

  read(line: number, value: unknown, length: number): WorldItem | null {
    if (this.ended) throw invalid('', 'must not come after the line {"kind":"end"}');
    if (!isMembers(value)) throw invalid('', 'must be an object with a "kind" field');
    this.lines = line;
    const { kind, ...members } = value;
    switch (kind) {
      case 'space':
        // Accepted and ignored, so that a client can send back a state that it read.
        return null;
      case 'object':
        this.#count(kind);
        return { kind, line, object: check(LINE_SCHEMAS[kind], members) };
      case 'moved':
        return { kind };
      case 'gone':
        this.#count(kind);
        return { kind, id: check(LINE_SCHEMAS[kind], members).id };
      case 'user':
        this.#users.push(this.#take(kind, check(LINE_SCHEMAS[kind], members), length));
        return null;
      case 'model':
      case 'media': {
        const list = kind === 'model' ? this.#models : this.#media;
        list.push(this.#take(kind, check(LINE_SCHEMAS[kind], members), length));
        return null;
      }
      case 'chat': {
        const { messageKind, ...message } = check(LINE_SCHEMAS[kind], members);
        this.#chat.push(this.#take(kind, { ...message, kind: messageKind }, length));
        return null;
      }
      case 'end':
        return this.#end(members);
      case 'error':
        throw invalid('/kind', 'must not be "error": the exported world is not complete');
      default:
        throw invalid('/kind', `must be one of ${KINDS}`);
    }
  }

  #take<T extends { id: string }>(kind: 'user' | 'model' | 'media' | 'chat', item: T, length: number): T {
    const name = `${kind} ${item.id}`;
    if (this.#seen.has(name)) throw invalid('/id', `appears more than once: ${item.id}`);
    this.#seen.add(name);
    this.#count(kind);
    this.#asideLength += length;
    if (this.#asideLength <= LIMITS.stateAsideBytesMax) return item;
    const message = `A saved world can have at most ${LIMITS.stateAsideBytesMax} bytes of users, models, media and chat.`;
    throw new AppError('body_too_large', message, { errors: [{ path: '', message }] });
  }

  #count(kind: keyof LineCounts): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  #end(members: Record<string, unknown>): WorldItem {
    const said = check(LINE_SCHEMAS.end, members).counts ?? {};
    for (const kind of ['object', 'gone', 'user', 'model', 'media', 'chat'] as const) {
      const [expected, actual] = [said[kind], this.#counts[kind] ?? 0];
      if (expected !== undefined && expected !== actual)
        throw invalid(`/counts/${kind}`, `is ${expected}, but the server received ${actual}`);
    }
    // A body without objects by mistake must never empty a world.
    if (said.object === undefined && this.#counts.object === undefined)
      throw invalid('/counts/object', 'must be 0 if the world has no objects');
    this.ended = true;
    const givesUsers = said.user !== undefined || this.#users.length > 0;
    return {
      kind: 'metadata',
      metadata: {
        ...(givesUsers && { users: this.#users }),
        models: this.#models,
        media: this.#media,
        chat: this.#chat,
      },
    };
  }
}

function isMembers(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(path: string, message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', { errors: [{ path, message }] });
}
