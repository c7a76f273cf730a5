import pg from 'pg';
import { nameObject, placeObject } from '../harness/operations.ts';

const SCHEMA = 'bench_mission';
export const MISSION_TABLE = `${SCHEMA}.world_objects`;
/** The application name of the server's connections. */
export const MISSION_NAME = 'bench-mission';
export const MISSION_SPACE = 'main';

export interface MissionTask {
  /** The table's owner's. */
  databaseUrl: string;
  redisUrl: string;
  /** How a batch is written: an UPDATE an object in one transaction, or one UPDATE for all. */
  flush: 'one by one' | 'one statement';
}

/** Makes a table for such a server: no tenants, no row security, vectors as JSON. */
export async function makeMissionTable(databaseUrl: string, objects: number): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`drop schema if exists ${SCHEMA} cascade; create schema ${SCHEMA};
    create table ${MISSION_TABLE} (
      object_id text primary key,
      space_id text not null,
      name text,
      model_id text,
      position jsonb not null,
      rotation jsonb not null default '{"x":0,"y":0,"z":0,"w":1}',
      scale jsonb not null default '{"x":1,"y":1,"z":1}',
      properties jsonb not null default '{}',
      updated_by text,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create index on ${MISSION_TABLE} (space_id);`);
  await client.query(
    `insert into ${MISSION_TABLE} (object_id, space_id, name, model_id, position, properties)
     select id, '${MISSION_SPACE}', 'Object ' || id, 'crate', position::jsonb, '{"colour": 1}'
     from unnest($1::text[], $2::text[]) as o (id, position)`,
    [
      Array.from({ length: objects }, (_, i) => nameObject(i)),
      Array.from({ length: objects }, (_, i) => JSON.stringify(placeObject(i, objects))),
    ],
  );
  return client;
}
