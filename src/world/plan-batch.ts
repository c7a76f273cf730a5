import type {
  AvatarChange,
  Batch,
  BatchCounts,
  MessageChange,
  NoEffect,
  ObjectChange,
  ObjectPatchChange,
  ObjectPutChange,
  PresumedResult,
  WrittenKey,
} from './batch.ts';
import { LIMITS } from './limits.ts';
import { canCompose, cloneJson, composeInto, composeIntoTwo, mergeInto } from './merge-patch.ts';
import { movesOnly } from './move.ts';
import type {
  ChatDeleteOperation,
  ChatPostOperation,
  LogEntry,
  LogOperation,
  ObjectOperation,
  Operation,
  OperationResult,
  OperationStatus,
  PatchOperation,
  UserPatchOperation,
} from './operation.ts';
import {
  findKind,
  isConditional,
  isOfMessage,
  isOfObject,
  isStage,
  meetsCondition,
  setFields,
  toObject,
} from './operation-effects.ts';
import type { JsonObject, Seq } from './types.ts';

/**
 * Seqs of objects as Postgres has them at the cursor before the entries; 0 where it has none. An object that is not in
 * the map is assumed to exist: after the batch, Postgres names the missing ones.
 */
export type Known = ReadonlyMap<string, Seq>;

export interface PlanOptions {
  /** The maximum of rows. Only the first entry may exceed it. */
  rowsMax: number;
  /** Objects, people and messages whose operations are applied one by one. */
  apart?: Apart;
  /** Callers of entries at or before this seq no longer wait for their objects. */
  returnsAfter?: Seq;
}

export interface Apart {
  objects: ReadonlySet<string>;
  users: ReadonlySet<string>;
  messages: ReadonlySet<string>;
}

export interface BatchPlan extends Pick<Batch, 'objects' | 'avatars' | 'singles' | 'results'> {
  messages: MessageChange[];
  written: WrittenKey[];
  doubtful: string[];
  presumed: PresumedResult[];
  /** Operations that surely have no effect; see `findNoEffects` for the others. */
  noEffects: NoEffect[];
  /** The number of entries in the plan, from the front; 0 if the first makes a staged world the space's. */
  used: number;
  /** The seq of the last of them, or 0. */
  to: Seq;
  /** Operations in them. */
  operations: number;
  /** Without operations that surely have no effect. */
  counts: BatchCounts;
}

/** The objects with conditions: `planBatch` must know their seqs. Entries after a staged world are left out. */
export function findAsked(entries: readonly LogEntry[]): string[] {
  const objects = new Set<string>();
  for (const entry of entries) {
    if (isStage(entry)) break;
    for (const op of entry.ops) if (isOfObject(op) && isConditional(op)) objects.add(op.id);
  }
  return [...objects];
}

/**
 * The net effect of entries of one log, in its order: one row for each object and avatar. `known` decides the
 * conditions: it must have every object of `findAsked`. Operations that fail have no effect, nor have operations on
 * objects that are known to be missing. It takes whole entries from the front, up to `rowsMax` rows or a staged world.
 * The entries do not change, but the plan may share parts with them.
 *
 * If a caller needs an object's row (`returnsObject`), the row is complete with that entry. Later operations on the
 * object become `singles`. A batch ends before these exceed `LIMITS.batchFollowersMax`.
 */
export function planBatch(
  entries: readonly LogEntry[],
  known: Known,
  { rowsMax, apart, returnsAfter = 0 }: PlanOptions,
): BatchPlan {
  const planner = new Planner(known, apart ?? NOTHING_APART, returnsAfter);
  let used = 0;
  for (const entry of entries) {
    if (isStage(entry) || (used > 0 && (planner.countRowsWith(entry) > rowsMax || planner.isFull(entry))))
      break;
    planner.add(entry);
    used++;
  }
  return { used, to: entries[used - 1]?.seq ?? 0, ...planner.finish() };
}

const NOTHING_APART: Apart = { objects: new Set(), users: new Set(), messages: new Set() };

type Kind = ObjectChange['kind'] | 'none';

interface ObjectDraft {
  change: ObjectChange;
  /** Whether the properties for the next patch are a copy that may be changed in place. */
  isOwned: boolean;
  /** The last entry that changed it, and the change before that entry. */
  entrySeq: Seq;
  kindBefore: Kind;
  seqBefore: Seq;
}

interface AvatarDraft {
  change: AvatarChange;
  isOwned: boolean;
}

class Planner {
  readonly #known: Known;
  readonly #apart: Apart;
  readonly #hasApart: boolean;
  readonly #objects = new Map<string, ObjectDraft>();
  readonly #avatars = new Map<string, AvatarDraft>();
  readonly #messages = new Map<string, MessageChange>();
  readonly #singles: BatchPlan['singles'] = [];
  readonly #results: BatchPlan['results'] = [];
  readonly #written: WrittenKey[] = [];
  readonly #doubtful: string[] = [];
  readonly #presumed: PresumedResult[] = [];
  readonly #noEffects: NoEffect[] = [];
  /** Objects whose rows are complete: a caller needs the object as it is in the row. */
  readonly #complete = new Set<string>();
  readonly #returnsAfter: Seq;
  readonly #counts: BatchCounts = { changes: 0, posted: 0 };
  #followers = 0;
  #operations = 0;

  constructor(known: Known, apart: Apart, returnsAfter: Seq) {
    this.#known = known;
    this.#apart = apart;
    this.#hasApart = apart.objects.size + apart.users.size + apart.messages.size > 0;
    this.#returnsAfter = returnsAfter;
  }

  /** The maximum of rows after the entry is added. */
  countRowsWith({ ops }: LogEntry): number {
    const rows = this.#objects.size + this.#avatars.size + this.#messages.size;
    return rows + this.#singles.length + this.#countNew(ops);
  }

  #countNew(ops: LogEntry['ops']): number {
    let rows = 0;
    const drafts = { object: this.#objects, avatar: this.#avatars, message: this.#messages };
    for (const op of ops) if (!drafts[findKind(op)].has(op.id)) rows++;
    return rows;
  }

  /** Whether the entry would add too many operations on complete objects. */
  isFull({ ops }: LogEntry): boolean {
    if (this.#complete.size === 0) return false;
    let followers = this.#followers;
    for (const op of ops) if (this.#isFollower(op)) followers++;
    return followers > LIMITS.batchFollowersMax;
  }

  #isFollower(op: LogOperation): boolean {
    return this.#complete.has(op.id) && isOfObject(op);
  }

  add(entry: LogEntry): void {
    const { seq, actor, ops, waits, returnsObject = false } = entry;
    const results: OperationResult[] | null = waits ? [] : null;
    let index = 0;
    for (const op of ops) {
      if (op.op === 'stage') throw new Error('A staged world must be alone in its entry.');
      let status: OperationStatus;
      const isFollower = this.#isFollower(op);
      if (isFollower) this.#followers++;
      if (isFollower || (this.#hasApart && this.#isApart(op))) {
        this.#singles.push({ seq, index, actor, op });
        status = 'applied';
      } else if (op.op === 'user.patch') {
        status = this.#moveAvatar(op, seq);
        if (waits) this.#presumed.push({ seq, index, kind: 'avatar', id: op.id });
      } else if (isOfMessage(op)) {
        const isPresumed = waits && op.op === 'chat.delete' && !this.#messages.has(op.id);
        if (isPresumed) this.#presumed.push({ seq, index, kind: 'message', id: op.id });
        status = this.#changeMessage(op, seq);
      } else {
        if (waits && this.#isPresumed(op)) this.#presumed.push({ seq, index, kind: 'object', id: op.id });
        status = this.#changeObject(op, seq, actor);
      }
      results?.push({ id: op.id, status });
      if (status === 'unknown_object' || status === 'conflict')
        this.#noEffects.push({
          seq,
          index,
          id: op.id,
          status,
          kind: findKind(op),
        });
      else if (!isOfMessage(op)) this.#counts.changes++;
      else if (op.op === 'chat.post') this.#counts.posted++;
      index++;
    }
    this.#operations += ops.length;
    if (results !== null) this.#results.push({ seq, results });
    if (returnsObject && seq > this.#returnsAfter) this.#keepObjects(entry, results ?? []);
  }

  #keepObjects({ seq, ops }: LogEntry, results: readonly OperationResult[]): void {
    for (const [i, { op, id }] of ops.entries()) {
      if ((op !== 'put' && op !== 'patch') || results[i]?.status !== 'applied') continue;
      this.#written.push({ seq, id });
      this.#complete.add(id);
    }
  }

  finish(): Omit<BatchPlan, 'used' | 'to'> {
    return {
      operations: this.#operations,
      counts: this.#counts,
      objects: Array.from(this.#objects.values(), ({ change }) => change),
      avatars: Array.from(this.#avatars.values(), ({ change }) => change),
      messages: [...this.#messages.values()],
      singles: this.#singles,
      results: this.#results,
      written: this.#written,
      doubtful: this.#doubtful,
      presumed: this.#presumed,
      noEffects: this.#noEffects,
    };
  }

  #isApart(op: Operation): boolean {
    const { objects, users, messages } = this.#apart;
    return { object: objects, avatar: users, message: messages }[findKind(op)].has(op.id);
  }

  /** Whether the operation applies only if the object existed before the batch, and `known` does not say. */
  #isPresumed({ op, id }: ObjectOperation): boolean {
    if (op === 'put' || this.#known.has(id)) return false;
    const kind = this.#objects.get(id)?.change.kind;
    return kind === undefined || kind === 'patch';
  }

  #changeObject(op: ObjectOperation, seq: Seq, actor: string | null): OperationStatus {
    const draft = this.#objects.get(op.id);
    if (draft !== undefined && draft.entrySeq !== seq) {
      draft.entrySeq = seq;
      draft.kindBefore = draft.change.kind;
      draft.seqBefore = draft.change.seq;
    }
    // A deleted object cannot be patched or deleted.
    if (draft?.change.kind === 'delete' && op.op !== 'put') return 'unknown_object';
    const base = this.#known.get(op.id);
    if (base !== undefined) {
      const now = draft === undefined ? base : findSeq(draft.change.kind, draft.change.seq, base);
      if (op.op !== 'put' && now === 0) return 'unknown_object';
      const before = draft === undefined ? base : findSeq(draft.kindBefore, draft.seqBefore, base);
      if (!meetsCondition(op, before)) return 'conflict';
    }
    if (draft !== undefined) {
      if (op.op === 'put' && draft.change.kind !== 'put') this.#doubtful.push(op.id);
      changeAgain(draft, op, seq, actor);
    } else
      this.#objects.set(op.id, {
        change: toChange(op, seq, actor),
        isOwned: false,
        entrySeq: seq,
        kindBefore: 'none',
        seqBefore: 0,
      });
    return 'applied';
  }

  #changeMessage(op: ChatPostOperation | ChatDeleteOperation, seq: Seq): OperationStatus {
    const draft = this.#messages.get(op.id);
    if (op.op === 'chat.post') {
      // The server creates each id once.
      if (draft !== undefined) return 'conflict';
      const { id, userId, text, kind } = op;
      this.#messages.set(id, { id, post: { seq, userId, text, kind }, deletedSeq: null });
    } else if (draft === undefined) this.#messages.set(op.id, { id: op.id, post: null, deletedSeq: seq });
    else if (draft.deletedSeq !== null) return 'unknown_object';
    else draft.deletedSeq = seq;
    return 'applied';
  }

  #moveAvatar(op: UserPatchOperation, seq: Seq): OperationStatus {
    let draft = this.#avatars.get(op.id);
    if (draft === undefined) {
      draft = { change: { id: op.id, seq }, isOwned: false };
      this.#avatars.set(op.id, draft);
    }
    const { change } = draft;
    noteContent(change, change.patches !== undefined, op, seq);
    change.seq = seq;
    if (op.position !== undefined) change.position = op.position;
    if (op.rotation !== undefined) change.rotation = op.rotation;
    if (op.properties !== undefined) addPatch(draft, change, op.properties);
    return 'applied';
  }
}

/** The seq, after a change, of an object that was at `base` (0: it does not exist). */
function findSeq(kind: Kind, seq: Seq, base: Seq): Seq {
  if (kind === 'put') return seq;
  if (kind === 'delete' || base === 0) return 0;
  return kind === 'patch' ? seq : base;
}

function toChange(op: ObjectOperation, seq: Seq, actor: string | null): ObjectChange {
  const { id } = op;
  if (op.op === 'delete') return { kind: 'delete', id, seq };
  if (op.op === 'put') {
    const object = toObject(op);
    return { kind: 'put', id, seq, actor, object, createdSeq: seq, createdBy: actor, isNew: false };
  }
  const change: ObjectChange = { kind: 'patch', id, seq, actor };
  setFields(change, op);
  if (op.properties !== undefined) change.patches = [op.properties];
  return change;
}

function changeAgain(draft: ObjectDraft, op: ObjectOperation, seq: Seq, actor: string | null): void {
  const { change } = draft;
  if (op.op === 'patch') {
    patchAgain(draft, op, seq, actor);
    return;
  }
  const next = toChange(op, seq, actor);
  if (next.kind === 'put') {
    if (change.kind === 'delete') next.isNew = true;
    if (change.kind === 'put') {
      next.createdSeq = change.createdSeq;
      next.createdBy = change.createdBy;
      next.isNew = change.isNew;
    }
  }
  draft.change = next;
  draft.isOwned = false;
}

function patchAgain(draft: ObjectDraft, op: PatchOperation, seq: Seq, actor: string | null): void {
  const change = draft.change as ObjectPatchChange | ObjectPutChange;
  noteContent(change, change.kind === 'put' || !movesOnly(change), op, seq);
  change.seq = seq;
  change.actor = actor;
  if (change.kind === 'patch') {
    setFields(change, op);
    if (op.properties !== undefined) addPatch(draft, change, op.properties);
    return;
  }
  const { object } = change;
  setFields(object, op);
  if (op.properties === undefined) return;
  if (!draft.isOwned) object.properties = cloneJson(object.properties);
  draft.isOwned = true;
  mergeInto(object.properties, op.properties);
}

/** Remembers which entry did more than move, before `op` of the entry at `seq` is added. */
function noteContent(
  change: { seq: Seq; contentSeq?: Seq },
  hasContent: boolean,
  op: PatchOperation | UserPatchOperation,
  seq: Seq,
): void {
  if (!movesOnly(op)) delete change.contentSeq;
  else if (hasContent && change.seq !== seq) change.contentSeq ??= change.seq;
}

/** Folds a merge patch into the last of the list; if that would change the result, into two. */
function addPatch(draft: { isOwned: boolean }, change: { patches?: JsonObject[] }, patch: JsonObject): void {
  const patches = change.patches ?? [];
  const last = patches.at(-1);
  if (last === undefined) {
    change.patches = [patch];
    return;
  }
  const owned = draft.isOwned ? last : cloneJson(last);
  draft.isOwned = true;
  if (canCompose(owned, patch)) {
    composeInto(owned, patch);
    patches[patches.length - 1] = owned;
    return;
  }
  // Two patches, not more: each takes a pass over all properties, and a thousand would exceed the time of a batch.
  const first = patches.length > 1 ? (patches[0] as JsonObject) : {};
  composeIntoTwo(first, owned, patch);
  change.patches = [first, owned];
}
