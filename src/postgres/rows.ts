import { type SQL, sql } from 'drizzle-orm';
import type { AnyPgColumn } from 'drizzle-orm/pg-core';
import { seqToTime } from '../world/seq-time.ts';
import type { JsonObject, ObjectInput, Seq, Space, WorldObject } from '../world/types.ts';
import { chatMessages, spaces, worldObjects } from './schema/spaces.ts';

/** The columns of a space as the product shows it, and the columns that name its world. */
export const spaceColumns = {
  id: spaces.spaceId,
  name: spaces.name,
  description: spaces.description,
  settings: spaces.settings,
  bounds: spaces.bounds,
  seq: spaces.logCursor,
  createdAt: spaces.createdAt,
  updatedAt: spaces.updatedAt,
};

export function toSpace(row: Space): Space {
  return { ...row, createdAt: toTime(row.createdAt), updatedAt: toTime(row.updatedAt) };
}

/** The columns of a message as the product shows it. */
export const messageColumns = {
  id: chatMessages.messageId,
  userId: chatMessages.userId,
  text: chatMessages.text,
  kind: chatMessages.kind,
  seq: chatMessages.seq,
  createdAt: chatMessages.createdAt,
};

export function toMessage<Row extends { createdAt: string }>(row: Row): Row {
  return { ...row, createdAt: toTime(row.createdAt) };
}

/** @returns RFC 3339 in UTC, from what Postgres prints. */
export function toTime(printed: string): string {
  return new Date(printed).toISOString();
}

/** Rows of objects name their authors by number. Both are joined to a query whose rows are called `world_objects`. */
export const CREATOR = [sql`authors as creator`, sql`creator.number = world_objects.created_by`] as const;
export const UPDATER = [sql`authors as updater`, sql`updater.number = world_objects.updated_by`] as const;

/** Of rows of the table, or that a function gives under its name; see `CREATOR`. */
export const objectColumns = {
  ...take({
    objectId: worldObjects.objectId,
    seq: worldObjects.seq,
    createdSeq: worldObjects.createdSeq,
    name: worldObjects.name,
    modelId: worldObjects.modelId,
    parentId: worldObjects.parentId,
    positionX: worldObjects.positionX,
    positionY: worldObjects.positionY,
    positionZ: worldObjects.positionZ,
    rotationX: worldObjects.rotationX,
    rotationY: worldObjects.rotationY,
    rotationZ: worldObjects.rotationZ,
    rotationW: worldObjects.rotationW,
    scaleX: worldObjects.scaleX,
    scaleY: worldObjects.scaleY,
    scaleZ: worldObjects.scaleZ,
    properties: worldObjects.properties,
  }),
  createdBy: sql<string | null>`creator.author_id`,
  updatedBy: sql<string | null>`updater.author_id`,
};

function take<Columns extends Record<string, AnyPgColumn>>(
  columns: Columns,
): { [Name in keyof Columns]: SQL<Columns[Name]['_']['data']> } {
  const taken = Object.entries(columns).map(([name, column]) => [name, sql`${column}`.mapWith(column)]);
  return Object.fromEntries(taken);
}

export interface ObjectRow {
  objectId: string;
  seq: Seq;
  createdSeq: Seq;
  name: string | null;
  modelId: string | null;
  parentId: string | null;
  positionX: number;
  positionY: number;
  positionZ: number;
  rotationX: number;
  rotationY: number;
  rotationZ: number;
  rotationW: number;
  scaleX: number;
  scaleY: number;
  scaleZ: number;
  properties: JsonObject;
  createdBy: string | null;
  updatedBy: string | null;
}

/** @param generationSeq the seq at which the row's generation became the world: a row's 0 means it. */
export function toWorldObject(row: ObjectRow, spaceId: string, generationSeq: Seq): WorldObject {
  const seq = row.seq === 0 ? generationSeq : row.seq;
  return {
    id: row.objectId,
    spaceId,
    name: row.name,
    modelId: row.modelId,
    parentId: row.parentId,
    position: { x: row.positionX, y: row.positionY, z: row.positionZ },
    rotation: { x: row.rotationX, y: row.rotationY, z: row.rotationZ, w: row.rotationW },
    scale: { x: row.scaleX, y: row.scaleY, z: row.scaleZ },
    properties: row.properties,
    seq,
    createdBy: row.createdBy,
    updatedBy: row.updatedBy,
    createdAt: seqToTime(row.createdSeq === 0 ? generationSeq : row.createdSeq),
    updatedAt: seqToTime(seq),
  };
}

/** An object as the SQL functions take it: flat, so that one recordset reads any number of them. */
export function toRecord(object: ObjectInput) {
  const { id, name, modelId, parentId, position, rotation, scale, properties } = object;
  return {
    id,
    name,
    model: modelId,
    parent: parentId,
    px: position.x,
    py: position.y,
    pz: position.z,
    rx: rotation.x,
    ry: rotation.y,
    rz: rotation.z,
    rw: rotation.w,
    sx: scale.x,
    sy: scale.y,
    sz: scale.z,
    props: properties,
  };
}

/** A JSON value as one parameter, whatever it holds. */
export function asJson(value: unknown): SQL {
  return sql`${value === null ? null : JSON.stringify(value)}::json`;
}
