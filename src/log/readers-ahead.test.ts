import { expect, it } from 'vitest';
import { createNoteAhead } from './readers-ahead.ts';

const AHEAD = { incarnation: 'i', seen: 9, last: 5, next: null };

function open(fails = false) {
  const [asked, durable, failed]: [string[], number[], string[]] = [[], [], []];
  const state = { nowMs: 0 };
  const note = createNoteAhead(
    {
      async noteReaderAhead({ spaceId }) {
        asked.push(spaceId);
        if (fails) throw new Error('away');
        return { cursor: 7, isNoted: true };
      },
    },
    { noteDurable: (_address, _incarnation, cursor) => void durable.push(cursor) },
    { now: () => state.nowMs, onFailure: ({ spaceId }) => void failed.push(spaceId) },
  );
  return {
    state,
    asked,
    durable,
    failed,
    note: (spaceId: string) => note({ tenantId: 't', spaceId }, AHEAD),
  };
}

it('[L8g] asks Postgres about the readers of a space once in a minute, whatever they claim', async () => {
  const { state, asked, durable, note } = open();
  for (const spaceId of ['a', 'b', 'a', 'b', 'a']) await note(spaceId);
  expect([asked, durable]).toEqual([
    ['a', 'b'],
    [7, 7],
  ]);
  state.nowMs = 59_999;
  await note('a');
  state.nowMs = 60_000;
  await note('a');
  expect(asked).toEqual(['a', 'b', 'a']);
});

it('[L8g] tells of a failure, and does not reject', async () => {
  const { failed, note } = open(true);
  await note('a');
  expect(failed).toEqual(['a']);
});
