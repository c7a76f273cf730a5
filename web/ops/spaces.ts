import { find } from '../dom.ts';
import type { Context, Section } from './context.ts';
import { isolate, make, makeButton, makeRow, makeTime } from './elements.ts';
import { showPages } from './pages.ts';
import { describeFailure, encodeId, type Page } from './server.ts';

export interface Space {
  id: string;
  name: string;
  seq: number;
  createdAt: string;
  updatedAt: string;
}

interface Statistics {
  objects: number;
  users: number;
  chatMessages: number;
  durabilityLagMs: number;
  activity: Record<'lastHour' | 'lastDay', { objectsChanged: number; messages: number }>;
}

/** All spaces of the tenant, with counts on demand. */
export function showSpaces(context: Context): Section {
  const { server } = context;
  const pages = showPages<Space>({
    label: 'Spaces',
    columns: ['Id', 'Name', 'Created', 'Settings changed', 'Counts', ''],
    none: 'No spaces.',
    load: (cursor) => server.call<Page<Space>>('GET', '/v1/spaces', { query: { limit: 100, cursor } }),
    row({ id, name, createdAt, updatedAt }) {
      const counts = make('span');
      counts.role = 'status';
      const count = makeButton('Count', async (button) => {
        button.disabled = true;
        try {
          counts.textContent = describeCounts(
            await server.call<Statistics>('GET', `/v1/spaces/${encodeId(id)}/statistics`),
          );
        } catch (error) {
          counts.textContent = describeFailure(error);
        }
        button.disabled = false;
      });
      const objects = makeButton('Objects', () => context.openObjects(id));
      const audit = makeButton('Audit', () => context.openAudit({ space: id }));
      for (const button of [count, objects, audit]) button.ariaLabel = `${button.textContent} of ${id}`;
      return makeRow(
        isolate(id),
        isolate(name),
        makeTime(createdAt),
        makeTime(updatedAt),
        [count, ' ', counts],
        [objects, audit],
      );
    },
  });
  find('spaces').append(pages.element);
  return { show: () => void pages.reload() };
}

function describeCounts({ objects, users, chatMessages, durabilityLagMs, activity }: Statistics): string {
  const { lastHour, lastDay } = activity;
  return [
    `${objects.toLocaleString()} objects, ${users.toLocaleString()} avatars, ${chatMessages.toLocaleString()} messages`,
    `lag ${durabilityLagMs.toLocaleString()} ms`,
    `changed in the last hour: ${lastHour.objectsChanged.toLocaleString()}, day: ${lastDay.objectsChanged.toLocaleString()}`,
  ].join(' · ');
}
