import { make, makeButton, makeTable, showText } from './elements.ts';
import { describeFailure, type Page, Refused } from './server.ts';

export interface PagesOptions<Item> {
  label: string;
  columns: readonly string[];
  /** Said when the list is empty. */
  none: string;
  load(cursor: string | null): Promise<Page<Item>>;
  row(item: Item): HTMLTableRowElement;
}

export interface Pages {
  /** Goes into the section. */
  element: HTMLElement;
  /** Loads the first page again. */
  reload(): Promise<void>;
}

/** A list of the server as a table that grows by a page with each "More". */
export function showPages<Item>({ label, columns, none, load, row }: PagesOptions<Item>): Pages {
  const { box, body } = makeTable(label, columns);
  const status = make('p');
  status.role = 'status';
  const problem = make('p', { className: 'problem' });
  problem.role = 'alert';
  problem.hidden = true;
  let cursor: string | null = null;
  // Only the newest load may show its answer.
  let run = 0;
  const read = async (isFirst: boolean) => {
    const mine = ++run;
    more.disabled = true;
    status.textContent = 'Loading…';
    try {
      const page = await load(isFirst ? null : cursor);
      if (mine !== run) return;
      cursor = page.nextCursor;
      const rows = page.items.map(row);
      if (isFirst) body.replaceChildren(...rows);
      else body.append(...rows);
      showText(problem, null);
      status.textContent = describeCount(body.childElementCount, cursor !== null, none);
    } catch (error) {
      if (mine !== run) return;
      if (isFirst) body.replaceChildren();
      status.textContent = '';
      showText(problem, describeMissing(label, error));
    } finally {
      if (mine === run) {
        box.hidden = body.childElementCount === 0;
        more.hidden = cursor === null;
        more.disabled = false;
      }
    }
  };
  const more = makeButton('More', () => void read(false));
  more.hidden = true;
  box.hidden = true;
  return {
    element: make('div', {}, status, problem, box, more),
    reload: () => read(true),
  };
}

function describeCount(count: number, hasMore: boolean, none: string): string {
  if (count === 0) return hasMore ? 'None on the first pages. "More" goes on.' : none;
  return `${count.toLocaleString()} shown${hasMore ? ', and there are more' : ''}.`;
}

/** Says why a list cannot be shown. A server of another version may not have it. */
export function describeMissing(label: string, error: unknown): string {
  return error instanceof Refused && error.isMissing
    ? `This server does not offer "${label}": ${error.message}`
    : describeFailure(error);
}
