import { notFound } from '../world/errors.ts';
import { type EraseContext, settlePerson } from './erase-person.ts';
import { PERSON_PARTS, type WorldStore } from './world-stores.ts';

/** The form of the document. A change that older readers do not understand gives it another number. */
const FORMAT = 'worldkeep-person/1';

export interface ExportContext extends Pick<EraseContext, 'parts' | 'tenantId'> {
  store: Pick<WorldStore, 'loadUser' | 'listLogs' | 'exportPerson'>;
  /** Milliseconds since 1970. */
  now: () => number;
}

/**
 * All that is stored of a person, as the text of one JSON document in pieces. It holds a page at a time, so a long history needs no more
 * memory. The log is committed first, so that queued writes are in it. A document that broke off has no `"complete": true` at its end.
 * @throws not_found; store_unavailable
 */
export async function exportPerson(context: ExportContext, userId: string): Promise<AsyncGenerator<string>> {
  const { store, parts, tenantId, now } = context;
  await parts?.traces.ping();
  await settlePerson(context, userId);
  const user = await store.loadUser(tenantId, userId);
  if (user === null) throw notFound('this person');
  const sessionData = (await parts?.traces.readSessionData(tenantId, userId)) ?? null;
  const head = {
    format: FORMAT,
    exportedAt: new Date(now()).toISOString(),
    user,
    sessionData: sessionData === null ? null : (JSON.parse(sessionData) as unknown),
  };

  async function* write(): AsyncGenerator<string> {
    yield JSON.stringify(head).slice(0, -1);
    for (const part of PERSON_PARTS) {
      yield `,"${part}":[`;
      let isFirst = true;
      for (let after: string | null = ''; after !== null; ) {
        const page = await store.exportPerson(tenantId, userId, { part, after });
        const text = page.items.map((item) => JSON.stringify(item)).join(',');
        if (text !== '') yield isFirst ? text : `,${text}`;
        if (text !== '') isFirst = false;
        after = page.next;
      }
      yield ']';
    }
    yield ',"complete":true}\n';
  }
  return write();
}
