import { ReferenceCounts } from './asset-references.ts';
import { ChatWindow, type KeptChat } from './chat-window.ts';
import { orderMembers } from './member-order.ts';
import type { LogEntry } from './operation.ts';
import { isOfMessage, isOfObject, isStage } from './operation-effects.ts';
import { type ReplayAvatar, type ReplayObject, replayEntry } from './replay.ts';
import { rememberLast, seqToTime, timeToSeq } from './seq-time.ts';
import type { Seq, WorldObject } from './types.ts';

/**
 * The outcome of a fold. `folded`: the view has all entries. `reload`: only Postgres has the world of this seq. An entry
 * replaced the world, or deleted so many messages that older ones must be shown.
 */
export type Folded = { status: 'folded' } | { status: 'reload'; seq: Seq };

/**
 * The objects, avatars and newest messages of a space at one seq, which entries of the log move forward. Objects are kept as the text
 * that a state shows. An untouched object is never parsed or printed again.
 */
export class WorldView {
  readonly spaceId: string;
  /** When the view was read from Postgres, in milliseconds since 1970. A fold does not change it. */
  readonly loadedMs: number;
  readonly avatars: Map<string, ReplayAvatar>;
  readonly chat: ChatWindow;
  readonly #texts: Map<string, string>;
  #seq: Seq;
  #characters = 0;
  /** The ids in order; null: they must be sorted again. */
  #ids: string[] | null = null;
  #references: ReferenceCounts | null = null;

  /** @param objects each as a state shows it, as JSON. Both maps are the view’s own from now on. */
  constructor(
    { spaceId, seq, loadedMs }: { spaceId: string; seq: Seq; loadedMs: number },
    objects: Map<string, string>,
    avatars: Map<string, ReplayAvatar>,
    chat: KeptChat,
  ) {
    this.chat = new ChatWindow(chat);
    this.spaceId = spaceId;
    this.loadedMs = loadedMs;
    this.avatars = avatars;
    this.#seq = seq;
    this.#texts = objects;
    for (const text of objects.values()) this.#characters += text.length;
  }

  get seq(): Seq {
    return this.#seq;
  }

  get objects(): number {
    return this.#texts.size;
  }

  /** The models and media that the objects reference. */
  get references(): Pick<ReferenceCounts, 'models' | 'media'> {
    if (this.#references === null) {
      this.#references = new ReferenceCounts();
      for (const text of this.#texts.values()) this.#references.add(text, 1);
    }
    return this.#references;
  }

  /** Characters of all objects' texts: nearly the memory that the view needs. */
  get characters(): number {
    return this.#characters;
  }

  /**
   * Moves forward by entries of the log, in order. Entries that the view already has are skipped. The caller ensures
   * that none is missing. An entry does not contain its staged world: the view stops before it.
   */
  fold(entries: readonly LogEntry[]): Folded {
    const ahead = entries.filter(({ seq }) => seq > this.#seq);
    const end = ahead.findIndex(isStage);
    this.#foldAll(end < 0 ? ahead : ahead.slice(0, end));
    const stage = end < 0 ? undefined : ahead[end];
    if (stage !== undefined) return { status: 'reload', seq: stage.seq };
    return this.chat.isShort ? { status: 'reload', seq: this.#seq } : { status: 'folded' };
  }

  #foldAll(entries: readonly LogEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const touched = collectTouched(entries);
    const objects = new Map<string, ReplayObject>();
    // All objects of an entry share its time, and all objects of a save share theirs.
    const [toSeq, toTime] = [rememberLast(timeToSeq), rememberLast(seqToTime)];
    const toCreated = rememberLast(seqToTime);
    for (const id of touched.keys()) {
      const text = this.#texts.get(id);
      if (text !== undefined) objects.set(id, toReplayed(JSON.parse(text), toSeq));
    }
    const world = { objects, avatars: this.avatars, removed: new Map<string, Seq>(), people: null };
    for (const entry of entries) {
      replayEntry(world, entry);
      if (entry.ops.some(isOfMessage)) this.chat.fold(entry);
    }
    for (const [id, hasProperties] of touched) {
      const object = objects.get(id);
      if (object !== undefined && hasProperties) object.properties = orderMembers(object.properties);
      this.#keep(id, object === undefined ? null : JSON.stringify(this.#toShown(object, toCreated, toTime)));
    }
    this.#seq = last.seq;
  }

  #keep(id: string, text: string | null): void {
    const before = this.#texts.get(id);
    if (text === (before ?? null)) return;
    this.#characters += (text?.length ?? 0) - (before?.length ?? 0);
    if (text === null || before === undefined) this.#ids = null;
    if (before !== undefined) this.#references?.add(before, -1);
    if (text !== null) this.#references?.add(text, 1);
    if (text === null) this.#texts.delete(id);
    else this.#texts.set(id, text);
  }

  #toShown(
    { createdSeq, ...object }: ReplayObject,
    toCreated: (seq: Seq) => string,
    toTime: (seq: Seq) => string,
  ): WorldObject {
    const { id, name, modelId, parentId, position, rotation, scale, properties, seq } = object;
    return {
      id,
      spaceId: this.spaceId,
      name,
      modelId,
      parentId,
      position,
      rotation,
      scale,
      properties,
      seq,
      createdBy: object.createdBy,
      updatedBy: object.updatedBy,
      createdAt: toCreated(createdSeq),
      updatedAt: toTime(seq),
    };
  }

  /** Every object's JSON, in the order of their ids. */
  listTexts(): string[] {
    return this.listEntries().map(([, text]) => text);
  }

  /** The same, each with its id. */
  listEntries(): [id: string, text: string][] {
    this.#ids ??= [...this.#texts.keys()].sort();
    return this.#ids.map((id) => [id, this.#texts.get(id) ?? '']);
  }
}

/** The objects that entries name, and whether their properties may change. */
function collectTouched(entries: readonly LogEntry[]): Map<string, boolean> {
  const touched = new Map<string, boolean>();
  for (const { ops } of entries)
    for (const op of ops)
      if (isOfObject(op))
        touched.set(
          op.id,
          touched.get(op.id) === true || ('properties' in op && op.properties !== undefined),
        );
  return touched;
}

function toReplayed(
  { spaceId, createdAt, updatedAt, ...object }: WorldObject,
  toSeq: (time: string) => Seq,
): ReplayObject {
  return { ...object, createdSeq: toSeq(createdAt) };
}
