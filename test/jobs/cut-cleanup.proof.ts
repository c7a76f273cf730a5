import { afterAll, beforeAll, expect, it } from 'vitest';
import { type OwnDatabase, openOwnDatabase } from '../own-database.ts';
import { cutAndRepeat } from './cut-cleanup.ts';

let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());

it('[U6] a cleanup that ended at any call, and is run again, leaves what one run leaves', async () => {
  expect(await cutAndRepeat(database, 1)).toBeGreaterThan(40);
});
