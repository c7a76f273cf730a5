import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { stack } from '../support.ts';
import type { Acknowledged } from './steady-load.ts';

/** The differences between acknowledged writes and a world in Postgres. */
export interface Differences {
  lost: string[];
  /** Messages that are there twice, and objects that more than one entry has written. */
  doubled: string[];
}

const LOOK_MS = 250;

/** Compares until nothing is lost or the time is over. It reads Postgres directly, as its superuser. */
export async function compareLedger(
  acknowledged: readonly Acknowledged[],
  { tenantId, spaceId, settleMsMax }: { tenantId: string; spaceId: string; settleMsMax: number },
): Promise<Differences> {
  const postgres = new pg.Client(stack().superuserUrl.replace(/\/postgres$/, '/worldkeep'));
  await postgres.connect();
  try {
    const endMs = performance.now() + settleMsMax;
    for (;;) {
      const found = await compare(postgres, acknowledged, [tenantId, spaceId]);
      if (found.lost.length === 0 || performance.now() > endMs) return found;
      await delay(LOOK_MS);
    }
  } finally {
    await postgres.end();
  }
}

async function compare(
  postgres: pg.Client,
  acknowledged: readonly Acknowledged[],
  place: [tenantId: string, spaceId: string],
): Promise<Differences> {
  const objects = await postgres.query<{ object_id: string; is_repeated: boolean }>(
    `select o.object_id, o.seq <> o.created_seq as is_repeated
      from world_objects o join spaces s on s.world = o.world where s.tenant_id = $1 and s.space_id = $2`,
    place,
  );
  const messages = await postgres.query<{ text: string }>(
    'select text from chat_messages where tenant_id = $1 and space_id = $2',
    place,
  );
  const texts = messages.rows.map(({ text }) => text);
  const there = {
    object: new Set(objects.rows.map(({ object_id }) => object_id)),
    message: new Set(texts),
  };
  return {
    lost: acknowledged.filter(({ kind, name }) => !there[kind].has(name)).map(({ name }) => name),
    doubled: [
      ...objects.rows.filter(({ is_repeated }) => is_repeated).map(({ object_id }) => object_id),
      ...texts.filter((text, i) => texts.indexOf(text) !== i),
    ],
  };
}
