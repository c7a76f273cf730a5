import { find, notify } from '../dom.ts';
import { confirm } from './confirm.ts';
import type { Context, Section } from './context.ts';
import { isolate, make, makeButton, makeJson, makeRow, makeTime } from './elements.ts';
import { showPages } from './pages.ts';
import { describeFailure, encodeId, type Page } from './server.ts';

interface DeadLetter {
  id: string;
  spaceId: string;
  seq: number;
  actor: string | null;
  op: Record<string, unknown>;
  error: { code: string | null; constraint: string | null };
  createdAt: string;
  replayedAt: string | null;
}

interface Replayed {
  durability: string;
  results?: { id: string; status: string }[];
}

/** Operations that Postgres could not store. */
export function showDeadLetters({ server }: Context): Section {
  const path = ({ id }: DeadLetter) => `/v1/dead-letters/${encodeId(id)}`;

  async function replay(letter: DeadLetter, button: HTMLButtonElement): Promise<void> {
    button.disabled = true;
    try {
      notify(describeReplay(await server.call<Replayed | null>('POST', `${path(letter)}/replay`)));
      void pages.reload();
    } catch (error) {
      notify(describeFailure(error));
      button.disabled = false;
    }
  }

  async function discard(letter: DeadLetter): Promise<void> {
    const question = {
      title: 'Discard this dead letter?',
      text: `The operation with seq ${letter.seq} of ${letter.spaceId} is deleted, and cannot be replayed any more.`,
      action: 'Discard',
    };
    if (!(await confirm(question))) return;
    try {
      await server.send('DELETE', path(letter));
      void pages.reload();
    } catch (error) {
      notify(describeFailure(error));
    }
  }

  const pages = showPages<DeadLetter>({
    label: 'Dead letters',
    columns: ['Time', 'Space', 'Seq', 'Actor', 'Operation', 'Error', 'Replayed', ''],
    none: 'No dead letters.',
    load: (cursor) =>
      server.call<Page<DeadLetter>>('GET', '/v1/dead-letters', { query: { limit: 100, cursor } }),
    row(letter) {
      const { spaceId, seq, actor, op, error, createdAt, replayedAt } = letter;
      const again = makeButton('Replay', (button) => void replay(letter, button));
      again.disabled = replayedAt !== null;
      const away = makeButton('Discard', () => void discard(letter));
      for (const button of [again, away]) button.ariaLabel = `${button.textContent} ${spaceId} ${seq}`;
      return makeRow(
        makeTime(createdAt),
        isolate(spaceId),
        make('code', {}, String(seq)),
        isolate(actor ?? '–'),
        makeJson(op),
        make('code', {}, [error.code, error.constraint].filter((part) => part !== null).join(' ') || '–'),
        makeTime(replayedAt),
        [again, away],
      );
    },
  });
  find('dead-letters').append(pages.element);
  return { show: () => void pages.reload() };
}

function describeReplay(answer: Replayed | null): string {
  const results = answer?.results?.map(({ id, status }) => `${id}: ${status}`).join(', ');
  if (results !== undefined) return `The operation was replayed. ${results}.`;
  return 'The operation is in the log again, and waits for its commit.';
}
