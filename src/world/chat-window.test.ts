import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChatWindow, type KeptMessage, NO_MESSAGES } from './chat-window.ts';
import { LIMITS } from './limits.ts';
import type { LogEntry } from './operation.ts';
import { seqToTime } from './seq-time.ts';

const START = 1_790_000_000_000_000;

function entry(seq: number, ops: LogEntry['ops']): LogEntry {
  return { seq, prev: seq - 1, actor: null, ops, waits: false };
}
const post = (id: string) => ({ op: 'chat.post' as const, id, userId: null, text: id, kind: 'text' });
const remove = (id: string) => ({ op: 'chat.delete' as const, id });
const idsOf = (window: ChatWindow) => window.list().map(({ id }) => id);

function makeMessage(id: string, sentMicros: number): KeptMessage {
  const createdAt = seqToTime(sentMicros);
  return { id, userId: null, text: id, kind: 'text', seq: START, createdAt, sentMicros };
}

describe('the newest messages', () => {
  it('[M3b] are the last 50, oldest first, however they were read', () => {
    const anyStep = fc.oneof(
      { arbitrary: fc.constant('post' as const), weight: 1 },
      { arbitrary: fc.nat(60), weight: 6 },
    );
    const first = Array.from({ length: 170 }, () => 'post' as const);
    let reloads = 0;
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 60, maxLength: 300 }), (drawn) => {
        const all: string[] = [];
        let window = new ChatWindow(NO_MESSAGES);
        for (const [i, step] of [...first, ...drawn].entries()) {
          const id = step === 'post' ? `m${i}` : (all.at(-1 - step) ?? 'none');
          window.fold(entry(START + i, [step === 'post' ? post(id) : remove(id)]));
          if (step === 'post') all.push(id);
          else if (all.includes(id)) all.splice(all.indexOf(id), 1);
          if (window.isShort) {
            reloads++;
            // As Postgres would give them.
            const messages = all
              .slice(-LIMITS.chatKeptMax)
              .map((kept) => makeMessage(kept, START + Number(kept.slice(1))));
            window = new ChatWindow({ messages, hasOlder: all.length > messages.length });
          }
          expect(idsOf(window)).toEqual(all.slice(-LIMITS.stateChatMessagesMax));
          if (i % 7 === 0) window = new ChatWindow(JSON.parse(JSON.stringify(window.keep())));
        }
      }),
      { numRuns: 60 },
    );
    expect(reloads).toBeGreaterThan(0);
  });

  it('[M1c] are sorted by time, then by id', () => {
    const window = new ChatWindow({
      messages: [makeMessage('past', START - 1), makeMessage('future', START + 1_000)],
      hasOlder: false,
    });
    window.fold(entry(START, [post('b'), post('a')]));
    expect(idsOf(window)).toEqual(['past', 'a', 'b', 'future']);
    window.fold(entry(START + 1, [post('a'), remove('past'), remove('gone')]));
    expect(idsOf(window)).toEqual(['a', 'b', 'future']);
  });
});
