import { LIMITS } from './limits.ts';
import { expandOperations } from './move.ts';
import type { Seq } from './types.ts';

/** One entry as a follower receives it. Its operations are text, exactly as they were appended. */
export interface Change {
  seq: Seq;
  /** The seq of the entry before it. A follower with another cursor has missed entries. */
  prev: Seq;
  /** The entry replaces the world. Its content is not sent: followers load the world again. */
  replacesWorld: boolean;
  /** `{"seq", "prev", "actor", "ops"}` as JSON. */
  text: string;
}

export type LiveMessage =
  | { kind: 'change'; change: Change }
  /** Postgres has committed the log up to this seq. */
  | { kind: 'committed'; seq: Seq }
  /** People who join or leave, as JSON. */
  | { kind: 'presence'; text: string }
  /** The space was deleted. */
  | { kind: 'retired' };

const CHANGE = /^\{"seq":(\d{1,16}),"prev":(\d{1,16}),"actor":(?:null|"(?:[^"\\]|\\.)*"),"ops":\[/;
const COMMITTED = /^\{"committed":(\d{1,16})\}$/;
const PRESENCE = '{"presence":';
const RETIRED = '{"retired":true}';
/** The beginning of the entry that a save of a whole world appends. No caller's entry begins like this. */
const STAGE = '{"op":"stage",';

/** Reads a published message of a space. @returns null for an unknown kind: a later version may send more. */
export function readLiveMessage(text: string): LiveMessage | null {
  const [head, seq, prev] = CHANGE.exec(text) ?? [];
  if (head !== undefined)
    return {
      kind: 'change',
      change: {
        seq: Number(seq),
        prev: Number(prev),
        text,
        replacesWorld: text.startsWith(STAGE, head.length),
      },
    };
  if (text.startsWith(PRESENCE)) return { kind: 'presence', text: text.slice(PRESENCE.length, -1) };
  const [, committed] = COMMITTED.exec(text) ?? [];
  if (committed !== undefined) return { kind: 'committed', seq: Number(committed) };
  return text === RETIRED ? { kind: 'retired' } : null;
}

/** An entry of the log as it was published. @param ops the JSON text of a list. */
export function toChange({ seq, prev, actor, ops }: Omit<Change, 'text' | 'replacesWorld'> & Logged): Change {
  return {
    seq,
    prev,
    replacesWorld: replacesWorld(ops),
    text: `{"seq":${seq},"prev":${prev},"actor":${JSON.stringify(actor)},"ops":${ops}}`,
  };
}

/** How a follower gets moves: in columns as they were appended, or as patches. */
export type MoveForm = 'columns' | 'operations';

const HAS_MOVE = /"op":"(?:user\.)?move"/;

/** @param ops the JSON text of a list. @returns the same with moves as patches. */
export function expandText(ops: string): string {
  return HAS_MOVE.test(ops) ? JSON.stringify(expandOperations(JSON.parse(ops))) : ops;
}

/** The same for the text of a change. */
export function expandChange(text: string): string {
  if (!HAS_MOVE.test(text)) return text;
  const { ops, ...change } = JSON.parse(text);
  return JSON.stringify({ ...change, ops: expandOperations(ops) });
}

interface Logged {
  actor: string | null;
  ops: string;
}

/** Whether an entry makes a staged world the space's. @param ops the JSON text of its operations. */
export function replacesWorld(ops: string): boolean {
  return ops.startsWith(STAGE, 1);
}

/** A place in an order, as callers write it. @returns null if the text is not one. */
export function readSeqText(text: string): Seq | null {
  const seq = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(seq) ? seq : null;
}

/** A server-sent event. */
export function writeEvent(event: string, data: string, id?: Seq): string {
  // JSON may hold line ends between its tokens, and an event ends at one.
  const lines = data.replaceAll(/\r\n|\r|\n/g, '\ndata: ');
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${lines}\n\n`;
}

/** A server-sent event that says how long a follower waits before it connects again. */
export const RETRY_EVENT = `retry: ${LIMITS.streamRetryMs}\n\n`;
/** Only says that the stream is alive. */
export const HEARTBEAT_EVENT = ': \n\n';
