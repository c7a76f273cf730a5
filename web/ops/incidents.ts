import { find } from '../dom.ts';
import type { Context, Section } from './context.ts';
import { isolate, makeJson, makeRow, makeTime, readField } from './elements.ts';
import { showPages } from './pages.ts';
import type { Page } from './server.ts';

interface Incident {
  id: string;
  spaceId: string | null;
  kind: string;
  detail: unknown;
  at: string;
}

/** Losses and corrections that the server noticed, newest first. */
export function showIncidents({ server }: Context): Section {
  const form = find<HTMLFormElement>('incidents-form');
  const pages = showPages<Incident>({
    label: 'Incidents',
    columns: ['Time', 'Space', 'Kind', 'Detail'],
    none: 'No incidents.',
    load: (cursor) =>
      server.call<Page<Incident>>('GET', '/v1/incidents', {
        query: { space: readField(form, 'space'), limit: 100, cursor },
      }),
    row: ({ at, spaceId, kind, detail }) =>
      makeRow(makeTime(at), isolate(spaceId ?? '–'), kind, makeJson(detail)),
  });
  find('incidents').append(pages.element);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void pages.reload();
  });
  return { show: () => void pages.reload() };
}
