import { find, notify } from '../dom.ts';
import { confirm } from './confirm.ts';
import type { Context, Section } from './context.ts';
import { isolate, makeButton, makeJson, makeRow, makeTime, readField } from './elements.ts';
import { showPages } from './pages.ts';
import { describeFailure, encodeId, type Page, Refused } from './server.ts';

interface Person {
  id: string;
  displayName: string;
  avatarUrl: string | null;
  properties: Record<string, unknown>;
  createdAt: string;
  lastSeenAt: string | null;
}

const EMPTY_PAGES_MAX = 20;
/** Until no session that was erased writes any more: `erasureSettleMs` of the server. */
const SETTLE_MS = 10_000;
/** The end of an export. */
const COMPLETE = /"complete":\s*true\s*\}\s*$/;

/** Finds people, exports and erases them. */
export function showPeople({ server, signal }: Context): Section {
  const form = find<HTMLFormElement>('people-form');

  async function load(cursor: string | null): Promise<Page<Person>> {
    const search = readField(form, 'search');
    let page: Page<Person> = { items: [], nextCursor: cursor };
    // The server reads a part of all people for each page, which may have nobody of this name.
    for (let i = 0; i < EMPTY_PAGES_MAX && page.items.length === 0; i++) {
      const query = { search, limit: 100, cursor: page.nextCursor };
      page = await server.call<Page<Person>>('GET', '/v1/users', { query });
      if (page.nextCursor === null) break;
    }
    return page;
  }

  async function exportPerson({ id }: Person, button: HTMLButtonElement): Promise<void> {
    button.disabled = true;
    try {
      const answer = await server.send('GET', `/v1/users/${encodeId(id)}/export`);
      const content = await answer.text();
      // The server sends the document while it reads, and may break off.
      if (!COMPLETE.test(content)) throw new Error(`The export of ${id} broke off. Try again.`);
      save(new Blob([content], { type: 'application/json' }), `${id}.json`);
    } catch (error) {
      notify(describeFailure(error));
    }
    button.disabled = false;
  }

  async function erase({ id, displayName }: Person): Promise<void> {
    const question = {
      title: 'Erase this person?',
      text: `Everything that the server knows about ${displayName} is deleted in the whole tenant, also their messages and sessions. Their objects stay, under a pseudonym. This cannot be undone.`,
      action: 'Erase',
      typed: id,
    };
    if (!(await confirm(question))) return;
    const isPart = await eraseOnce(id, `${id} is erased already.`);
    void pages.reload();
    if (!isPart) return;
    // A session that has ended may write for some seconds, and the person is not in the list any more.
    setTimeout(() => signal.aborted || void eraseOnce(id, null), SETTLE_MS);
  }

  /** @param gone the notice if nothing is stored of the person; null: none. @returns whether a second call may find more */
  async function eraseOnce(id: string, gone: string | null): Promise<boolean> {
    try {
      const answer = await server.call<{ erased: Record<string, number> } | null>(
        'DELETE',
        `/v1/users/${encodeId(id)}`,
        { headers: { Prefer: 'return=representation' } },
      );
      notify(`${id} is erased. ${describeErased(answer?.erased ?? {})}`);
      return true;
    } catch (error) {
      const isGone = error instanceof Refused && error.status === 404;
      const text = isGone ? gone : describeFailure(error);
      if (text !== null) notify(text);
      return error instanceof Refused && error.status === 503;
    }
  }

  const pages = showPages<Person>({
    label: 'People',
    columns: ['Id', 'Name', 'Properties', 'Created', 'Last seen', ''],
    none: 'Nobody was found.',
    load,
    row(person) {
      const buttons = [
        makeButton('Export', (button) => void exportPerson(person, button)),
        makeButton('Erase', () => void erase(person)),
      ];
      for (const button of buttons) button.ariaLabel = `${button.textContent} ${person.id}`;
      return makeRow(
        isolate(person.id),
        isolate(person.displayName),
        makeJson(person.properties),
        makeTime(person.createdAt),
        makeTime(person.lastSeenAt, 'never'),
        buttons,
      );
    },
  });
  find('people').append(pages.element);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void pages.reload();
  });
  return { show: () => void pages.reload() };
}

function describeErased(counts: Record<string, number>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  return parts.map(([name, count]) => `${name}: ${count.toLocaleString()}`).join(', ');
}

/** Saves a file in the folder of downloads. */
function save(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser reads the file after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
