import { type SQL, sql } from 'drizzle-orm';
import type {
  AvatarChange,
  MessageChange,
  ObjectPatchChange,
  ObjectPutChange,
  PresumedResult,
  SingleOperation,
} from '../../world/batch.ts';
import { findKind } from '../../world/operation-effects.ts';
import type { JsonObject, Seq } from '../../world/types.ts';
import { NumberColumn, TextColumn } from '../array-literal.ts';
import type { AuthorList } from '../author-list.ts';

/** As object_rows has them. */
const MARKS = { name: 1, model: 2, parent: 4, patches: 8, plainPatch: 16, isNew: 32 } as const;

/** Rows of `object_rows`, and the id of each in its place. */
export class ObjectRows {
  readonly ids: string[] = [];
  readonly #id = new TextColumn();
  readonly #seq = new NumberColumn();
  readonly #author = new NumberColumn();
  readonly #numbers = Array.from({ length: 10 }, () => new NumberColumn());
  readonly #marks = new NumberColumn();
  readonly #name = new TextColumn();
  readonly #model = new TextColumn();
  readonly #parent = new TextColumn();
  readonly #props = new TextColumn();
  readonly #createdSeq = new NumberColumn();
  readonly #creator = new NumberColumn();
  readonly #authors: AuthorList;

  constructor(authors: AuthorList) {
    this.#authors = authors;
  }

  pushDelete({ id, seq }: { id: string; seq: number }): void {
    this.ids.push(id);
    this.#id.push(id);
    this.#seq.push(seq);
  }

  pushMove({ id, seq, actor, position, rotation }: ObjectPatchChange): void {
    this.pushDelete({ id, seq });
    this.#author.push(this.#authors.place(actor));
    this.#pushTransform(position, rotation);
  }

  pushPatch(change: ObjectPatchChange): void {
    const { name, modelId, parentId, patches = [] } = change;
    this.pushMove(change);
    this.#pushScale(change.scale);
    const props = encodePatches(patches);
    this.#marks.push(
      (name === undefined ? 0 : MARKS.name) +
        (modelId === undefined ? 0 : MARKS.model) +
        (parentId === undefined ? 0 : MARKS.parent) +
        props.mark,
    );
    this.#pushTexts(name ?? null, modelId, parentId, props.text);
  }

  pushPut({ id, seq, actor, object, createdSeq, createdBy, isNew }: ObjectPutChange): void {
    const { position, rotation, scale, name, modelId, parentId, properties } = object;
    this.pushDelete({ id, seq });
    this.#author.push(this.#authors.place(actor));
    this.#pushTransform(position, rotation);
    this.#pushScale(scale);
    this.#marks.push(isNew ? MARKS.isNew : 0);
    this.#pushTexts(name, modelId, parentId, JSON.stringify(properties));
    this.#createdSeq.push(createdSeq);
    this.#creator.push(this.#authors.place(createdBy));
  }

  #pushTransform(position: ObjectPatchChange['position'], rotation: ObjectPatchChange['rotation']): void {
    const [px, py, pz, rx, ry, rz, rw] = this.#numbers;
    px?.push(position?.x);
    py?.push(position?.y);
    pz?.push(position?.z);
    rx?.push(rotation?.x);
    ry?.push(rotation?.y);
    rz?.push(rotation?.z);
    rw?.push(rotation?.w);
  }

  #pushScale(scale: ObjectPatchChange['scale']): void {
    this.#numbers[7]?.push(scale?.x);
    this.#numbers[8]?.push(scale?.y);
    this.#numbers[9]?.push(scale?.z);
  }

  #pushTexts(
    name: string | null,
    model: string | null | undefined,
    parent: string | null | undefined,
    props: string | null,
  ): void {
    this.#name.push(JSON.stringify(name));
    this.#model.push(model);
    this.#parent.push(parent);
    this.#props.push(props);
  }

  /** As one argument; NULL where there is no row. */
  toSql(): SQL {
    if (this.ids.length === 0) return sql`null::object_rows`;
    const numbers = this.#numbers.map((column) => sql`${`${column}`}::float8[]`);
    return sql`row(${`${this.#id}`}::text[], ${`${this.#seq}`}::bigint[], ${`${this.#author}`}::integer[], ${sql.join(numbers, sql`, `)}, ${`${this.#marks}`}::integer[], ${`${this.#name}`}::text[], ${`${this.#model}`}::text[], ${`${this.#parent}`}::text[], ${`${this.#props}`}::text[], ${`${this.#createdSeq}`}::bigint[], ${`${this.#creator}`}::integer[])::object_rows`;
  }
}

/** Rows of `avatar_rows`. */
export function encodeAvatars(avatars: readonly AvatarChange[]): SQL {
  if (avatars.length === 0) return sql`null::avatar_rows`;
  const [ids, props] = [new TextColumn(), new TextColumn()];
  const [seqs, px, py, pz, rx, ry, rz, rw, marks] = Array.from({ length: 9 }, () => new NumberColumn());
  for (const { id, seq, position, rotation, patches = [] } of avatars) {
    ids.push(id);
    seqs?.push(seq);
    px?.push(position?.x);
    py?.push(position?.y);
    pz?.push(position?.z);
    rx?.push(rotation?.x);
    ry?.push(rotation?.y);
    rz?.push(rotation?.z);
    rw?.push(rotation?.w);
    const { mark, text } = encodePatches(patches);
    marks?.push(mark);
    props.push(text);
  }
  const numbers = [px, py, pz, rx, ry, rz, rw].map((column) => sql`${`${column}`}::float8[]`);
  return sql`row(${`${ids}`}::text[], ${`${seqs}`}::bigint[], ${sql.join(numbers, sql`, `)}, ${`${marks}`}::integer[], ${`${props}`}::text[])::avatar_rows`;
}

/** Rows of `message_rows`. */
export function encodeMessages(messages: readonly MessageChange[]): SQL {
  if (messages.length === 0) return sql`null::message_rows`;
  const [ids, users, texts, kinds] = Array.from({ length: 4 }, () => new TextColumn());
  const [seqs, deletedSeqs] = [new NumberColumn(), new NumberColumn()];
  for (const { id, post, deletedSeq } of messages) {
    ids?.push(id);
    seqs.push(post?.seq);
    users?.push(post?.userId);
    texts?.push(post && JSON.stringify(post.text));
    kinds?.push(post && JSON.stringify(post.kind));
    deletedSeqs.push(deletedSeq ?? undefined);
  }
  return sql`row(${`${ids}`}::text[], ${`${seqs}`}::bigint[], ${`${users}`}::text[], ${`${texts}`}::text[], ${`${kinds}`}::text[], ${`${deletedSeqs}`}::bigint[])::message_rows`;
}

/** Rows of `single_rows`. @param letterIds of the dead letter that each may become. */
export function encodeSingles(
  singles: readonly SingleOperation[],
  letterIds: readonly string[],
  authors: AuthorList,
  requestIds: ReadonlyMap<Seq, string | undefined>,
): SQL {
  if (singles.length === 0) return sql`null::single_rows`;
  const [seqs, indexes, places] = [new NumberColumn(), new NumberColumn(), new NumberColumn()];
  const [kinds, ids, letters, ops, requests] = Array.from({ length: 5 }, () => new TextColumn());
  for (const [i, { seq, index, actor, op }] of singles.entries()) {
    seqs.push(seq);
    indexes.push(index);
    kinds?.push(findKind(op));
    ids?.push(op.id);
    places.push(authors.place(actor));
    letters?.push(letterIds[i]);
    ops?.push(JSON.stringify(op, keepInfinity));
    requests?.push(requestIds.get(seq));
  }
  return sql`row(${`${seqs}`}::bigint[], ${`${indexes}`}::integer[], ${`${kinds}`}::text[], ${`${ids}`}::text[], ${`${places}`}::integer[], ${`${letters}`}::text[], ${`${ops}`}::text[], ${`${requests}`}::text[])::single_rows`;
}

/** Rows of `presumed_rows`. */
export function encodePresumed(presumed: readonly PresumedResult[]): SQL {
  if (presumed.length === 0) return sql`null::presumed_rows`;
  const [seqs, indexes, ids] = [new NumberColumn(), new NumberColumn(), new TextColumn()];
  for (const { seq, index, id } of presumed) {
    seqs.push(seq);
    indexes.push(index);
    ids.push(id);
  }
  const kinds = `{${presumed.map(({ kind }) => kind).join(',')}}`;
  return sql`row(${`${seqs}`}::bigint[], ${`${indexes}`}::integer[], ${`${ids}`}::text[], ${kinds}::text[])::presumed_rows`;
}

/** JSON would make null of it, which is to leave the field as it is. */
function keepInfinity(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

function encodePatches(patches: readonly JsonObject[]): { mark: number; text: string | null } {
  const [first] = patches;
  if (first === undefined) return { mark: 0, text: null };
  if (patches.length === 1 && isPlain(first)) return { mark: MARKS.plainPatch, text: JSON.stringify(first) };
  return { mark: MARKS.patches, text: JSON.stringify(patches) };
}

/** Whether a merge patch does no more than to set members, which Postgres does by itself. */
function isPlain(patch: JsonObject): boolean {
  for (const value of Object.values(patch))
    if (value === null || (typeof value === 'object' && !Array.isArray(value))) return false;
  return true;
}

/** Whether a patch moves its object and does nothing else. */
export function isMove({ scale, name, modelId, parentId, patches }: ObjectPatchChange): boolean {
  return (
    scale === undefined &&
    name === undefined &&
    modelId === undefined &&
    parentId === undefined &&
    patches === undefined
  );
}
