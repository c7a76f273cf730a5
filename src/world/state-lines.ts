import * as z from 'zod';
import type { AssetIds } from './asset-references.ts';
import type { KeptChat } from './chat-window.ts';
import { checkRegion, type Region } from './region.ts';
import { check } from './schemas.ts';
import type { Asset, Avatar, ChatMessage, Seq, Space, WorldInput, WorldObject, WorldState } from './types.ts';

/** The lists of a state, by the names that `?include=` has for them. */
export const STATE_PARTS = ['objects', 'users', 'models', 'media', 'chat'] as const;
export type StatePart = (typeof STATE_PARTS)[number];

/** The number of lines of each kind. Kinds that the caller did not request are absent. */
export type LineCounts = Partial<Record<'object' | 'gone' | 'user' | 'model' | 'media' | 'chat', number>>;

/**
 * One line of a state as NDJSON. The space comes first, then its objects. If the world changed meanwhile, `moved` and
 * the changes follow. Then come the other kinds, and `end`. Messages are complete, oldest first. A line replaces an
 * earlier line of its kind and id, and `gone` deletes an object. The result is the world at the seq of `end`. Without
 * `end` it is incomplete. A space with `spilled` may miss writes that are queued in Redis, which is away.
 */
export type StateLine =
  | ({ kind: 'space'; durableSeq: Seq; spilled?: number } & Space)
  | ({ kind: 'object' } & WorldObject)
  | { kind: 'moved'; seq: Seq }
  | { kind: 'gone'; id: string }
  | ({ kind: 'user' } & Avatar)
  | ({ kind: 'model' | 'media' } & Asset)
  | ({ kind: 'chat'; messageKind: string } & Omit<ChatMessage, 'kind'>)
  | { kind: 'end'; seq: Seq; rev: number; counts: LineCounts };

/** The part of a world to read. */
export interface WorldSelection {
  /** Only objects in this region; if absent, the whole world. */
  region?: Region | undefined;
  /** False: everything except the objects. */
  withObjects?: boolean | undefined;
  /** True: also older messages, as separate parts. Only a stream has room for them. */
  withAllChat?: boolean | undefined;
}

/** The requested parts of a state. */
export interface StateView {
  /** Only objects in this region. */
  region?: Region | undefined;
  /** The lists to return; if absent, all lists. */
  include?: Iterable<StatePart> | undefined;
}

/** @throws validation_failed for an invalid region or list. */
export function readView({ region, include }: StateView): {
  selection: WorldSelection;
  include: ReadonlySet<StatePart>;
} {
  const parts = new Set(check(z.array(z.enum(STATE_PARTS)), [...(include ?? STATE_PARTS)], '/include'));
  return {
    selection: {
      ...(region !== undefined && { region: checkRegion(region) }),
      // A state has the models and media that its objects reference.
      withObjects: parts.has('objects') || parts.has('models') || parts.has('media'),
    },
    include: parts,
  };
}

/** A piece of a world on its way out of the database. */
export type WorldPart =
  | { kind: 'begin'; space: Space; rev: number }
  | { kind: 'objects'; objects: WorldObject[] }
  /** Brings earlier objects to a later moment: first the deleted ones, then the changed ones. */
  | { kind: 'moved'; space: Space; gone: string[]; objects: WorldObject[] }
  /** Messages before the messages of `metadata`, oldest first. */
  | { kind: 'chat'; messages: ChatMessage[] }
  /** The last part, at the seq of the whole state. */
  | ({ kind: 'metadata'; rev: number; saved: AssetIds; keptChat: KeptChat } & Omit<
      WorldState,
      'seq' | 'durableSeq' | 'objects'
    >);

/** A world during a read: the version at its beginning, and its parts. The last part completes it. */
export interface WorldReader {
  seq: Seq;
  rev: number;
  parts: AsyncGenerator<WorldPart>;
}

/** A piece of a world on its way in. */
export type WorldItem =
  | { kind: 'object'; line: number; object: WorldInput['objects'][number] }
  | { kind: 'moved' }
  | { kind: 'gone'; id: string }
  /** The last item: all lines have been read. */
  | { kind: 'metadata'; metadata: Omit<WorldInput, 'objects'> };

/** @param include the parts to return; all others are left out. */
export async function* writeStateLines(
  parts: AsyncIterable<WorldPart>,
  include: ReadonlySet<StatePart>,
  { isProvisional = false }: { isProvisional?: boolean } = {},
): AsyncGenerator<StateLine> {
  const counts: LineCounts = include.has('objects') ? { object: 0 } : {};
  const counted = <Line extends StateLine & { kind: keyof LineCounts }>(line: Line): Line => {
    counts[line.kind] = (counts[line.kind] ?? 0) + 1;
    return line;
  };
  let shown = '';
  const showSpace = (space: Space): StateLine[] => {
    const text = JSON.stringify(space);
    if (text === shown) return [];
    shown = text;
    return [{ kind: 'space', ...space, durableSeq: space.seq, ...(isProvisional && { spilled: 0 }) }];
  };
  for await (const part of parts) {
    if (part.kind === 'begin') yield* showSpace(part.space);
    if (part.kind === 'moved') {
      yield { kind: 'moved', seq: part.space.seq };
      yield* showSpace(part.space);
      if (include.has('objects')) for (const id of part.gone) yield counted({ kind: 'gone', id });
    }
    if (include.has('objects') && (part.kind === 'objects' || part.kind === 'moved'))
      for (const object of part.objects) yield counted({ kind: 'object', ...object });
    if (part.kind === 'chat' && include.has('chat'))
      for (const message of part.messages) yield counted(toAsideLine('chat', message));
    if (part.kind !== 'metadata') continue;
    yield* showSpace(part.space);
    for (const [name, kind] of ASIDE) {
      if (!include.has(name)) continue;
      counts[kind] ??= 0;
      for (const item of part[name]) yield counted(toAsideLine(kind, item));
    }
    yield { kind: 'end', seq: part.space.seq, rev: part.rev, counts };
  }
}

const ASIDE = [
  ['users', 'user'],
  ['models', 'model'],
  ['media', 'media'],
  ['chat', 'chat'],
] as const;
type AsideKind = (typeof ASIDE)[number][1];

function toAsideLine(kind: AsideKind, item: Avatar | Asset | ChatMessage): StateLine & { kind: AsideKind } {
  if (kind !== 'chat') return { kind, ...item } as StateLine & { kind: AsideKind };
  // A message has a `kind` of its own, so the line names it `messageKind`.
  const { kind: messageKind, ...message } = item as ChatMessage;
  return { kind, messageKind, ...message };
}
