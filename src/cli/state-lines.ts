import type { FieldError } from '../world/errors.ts';
import type { JsonObject, JsonValue } from '../world/types.ts';
import { checkWorld } from '../world/world-input.ts';
import { CommandError } from './errors.ts';

const LISTS = { objects: 'object', users: 'user', models: 'model', media: 'media', chat: 'chat' } as const;
type ListName = keyof typeof LISTS;
const LIST_NAMES = Object.keys(LISTS) as ListName[];

/** A world as NDJSON, and the way back from its lines to its lists. */
export interface WorldLines {
  bytes: Uint8Array;
  /** @returns `/objects/16/position/x` for `/17/position/x`. */
  locate(error: FieldError): FieldError;
}

/** @param world as the API takes it: a state, or the backup of an in-memory server. */
export function writeWorldLines(world: JsonObject): WorldLines {
  const checked = checkWorld(world);
  const pieces: Uint8Array[] = [];
  const begins: { name: ListName; line: number }[] = [];
  const encoder = new TextEncoder();
  const write = (line: object) => pieces.push(encoder.encode(`${JSON.stringify(line)}\n`));
  for (const name of LIST_NAMES) {
    begins.push({ name, line: pieces.length + 1 });
    for (const item of checked[name] ?? [])
      write(
        name === 'chat'
          ? { ...item, messageKind: (item as { kind: string }).kind, kind: 'chat' }
          : { ...item, kind: LISTS[name] },
      );
  }
  const users = checked.users && { user: checked.users.length };
  write({ kind: 'end', counts: { object: checked.objects.length, ...users } });
  return {
    bytes: Buffer.concat(pieces),
    locate({ path, message }) {
      const [, line = '', rest = ''] = /^\/(\d+)(.*)$/.exec(path) ?? [];
      const list = begins.findLast((begin) => begin.line <= Number(line));
      if (line === '' || list === undefined) return { path, message };
      return { path: `/${list.name}/${Number(line) - list.line}${rest}`, message };
    },
  };
}

/** A state that the server gives line by line, put together as it would be in one piece. */
export class StateReader {
  #rest: Uint8Array[] = [];
  #space: JsonObject | null = null;
  #end: JsonObject | null = null;
  readonly #objects = new Map<string, Uint8Array>();
  readonly #aside: Record<Exclude<ListName, 'objects'>, Uint8Array[]> = {
    users: [],
    models: [],
    media: [],
    chat: [],
  };

  /** @throws CommandError where a line is none, or says that the server could not go on. */
  read(piece: Uint8Array): void {
    const end = piece.lastIndexOf(0x0a) + 1;
    if (end > 0) {
      const text = Buffer.concat([...this.#rest, piece.subarray(0, end)]).toString();
      this.#rest = [];
      for (const line of text.split('\n')) if (line !== '') this.#readLine(line);
    }
    if (end < piece.length) this.#rest.push(piece.slice(end));
  }

  /** @returns the bytes of the state as JSON. @throws CommandError where it is not whole. */
  finish(): Uint8Array {
    if (this.#space === null || this.#end === null || this.#rest.length > 0)
      throw new CommandError('unexpected_answer', 'the world was cut off on its way here');
    const { durableSeq, ...space } = this.#space;
    const head = JSON.stringify({ space, seq: this.#end.seq ?? null, durableSeq: durableSeq ?? null });
    const objects = [...this.#objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes);
    const parts: Uint8Array[] = [Buffer.from(head.slice(0, -1))];
    for (const [name, items] of Object.entries({ objects, ...this.#aside })) {
      parts.push(Buffer.from(`,"${name}":[`));
      for (const [index, item] of items.entries()) parts.push(...(index > 0 ? [COMMA, item] : [item]));
      parts.push(Buffer.from(']'));
    }
    parts.push(Buffer.from('}'));
    return Buffer.concat(parts);
  }

  #readLine(text: string): void {
    const { kind, messageKind, ...item } = parseLine(text);
    const encode = (value: JsonObject) => Buffer.from(JSON.stringify(value));
    const id = typeof item.id === 'string' ? item.id : '';
    if (kind === 'space') this.#space = item;
    else if (kind === 'object') this.#objects.set(id, encode(item));
    else if (kind === 'gone') this.#objects.delete(id);
    else if (kind === 'user') this.#aside.users.push(encode(item));
    else if (kind === 'model') this.#aside.models.push(encode(item));
    else if (kind === 'media') this.#aside.media.push(encode(item));
    else if (kind === 'chat') this.#aside.chat.push(encode(toMessage(item, messageKind)));
    else if (kind === 'end') this.#end = item;
    else if (kind === 'error')
      throw new CommandError(
        typeof item.code === 'string' ? item.code : 'http_error',
        `the server broke off: ${item.detail}`,
        typeof item.requestId === 'string' ? { requestId: item.requestId } : {},
      );
  }
}

const COMMA = Buffer.from(',');

/** With its members in the order that a state has them. */
function toMessage({ id, userId, text, ...rest }: JsonObject, kind: JsonValue | undefined): JsonObject {
  return { id: id ?? null, userId: userId ?? null, text: text ?? null, kind: kind ?? null, ...rest };
}

function parseLine(text: string): JsonObject {
  try {
    const value: JsonValue = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw new CommandError('unexpected_answer', 'the server answered with a line that is none', {}, cause);
  }
  throw new CommandError('unexpected_answer', 'the server answered with a line that is none');
}
