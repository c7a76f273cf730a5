import { find, later } from '../dom.ts';
import type { Context, Section } from './context.ts';
import { isolate, make, makeRow, makeTime, readField, showText, writeField } from './elements.ts';
import { openObject } from './object-dialog.ts';
import { type ListedObject, ObjectList } from './object-list.ts';
import { describeFailure, type Page } from './server.ts';
import type { Space } from './spaces.ts';
import { showVirtualRows } from './virtual-rows.ts';

/** As in ops.css. */
const ROW_HEIGHT = 30;
/** Spaces that the field suggests. A person may type the id of any other. */
const SUGGESTED_MAX = 1_000;

export interface ObjectsSection extends Section {
  open(space: string): void;
}

/** The table of a space's objects, of any length. */
export function showObjects(context: Context): ObjectsSection {
  const { server, signal } = context;
  const form = find<HTMLFormElement>('objects-form');
  const table = find<HTMLTableElement>('object-table');
  const [body] = table.tBodies;
  if (body === undefined) throw new Error('The page has no rows of objects.');
  let space = '';
  let list: ObjectList | null = null;
  const status = find('objects-status');
  const problem = find('objects-problem');
  const rows = showVirtualRows({
    scroller: find('object-scroll'),
    body,
    rowHeight: ROW_HEIGHT,
    count: () => list?.rowCount ?? 0,
    read: (index) => list?.row(index) ?? null,
    make: (index, object) => makeObjectRow(index, object, edit),
    onRange: (last) => list?.want(last),
    signal,
  });
  const refresh = later(() => {
    rows.refresh();
    table.ariaRowCount = String((list?.rowCount ?? 0) + 1);
    showText(problem, list?.problem ?? null);
    status.textContent = list?.describe() ?? '';
  });

  function edit(id: string): void {
    const shown = list;
    const onClose = () => {
      // A row that was made again has lost the focus.
      const buttons = [...table.querySelectorAll('button')];
      buttons.find(({ title }) => title === id)?.focus();
    };
    void openObject(context, { space, id, onClose, onChange: (object) => shown?.replace(id, object) });
  }

  function show(): void {
    const wanted = readField(form, 'space');
    if (wanted === '') return;
    if (wanted !== space || list === null || list.problem !== null) {
      space = wanted;
      list = new ObjectList(server, space, refresh);
      const counted = list;
      list.count().catch(() => counted.want(0));
    }
    rows.scrollToStart();
    list.search(readField(form, 'search'));
    refresh();
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    // A list that was loaded before would not show what has changed.
    list = null;
    show();
  });
  form.addEventListener('input', ({ target }) => {
    if ((target as HTMLInputElement).name === 'search' && list !== null) show();
  });
  find('open-exact').addEventListener('click', () => {
    space = readField(form, 'space');
    const id = readField(form, 'search');
    if (space !== '' && id !== '') edit(id);
    else showText(problem, 'Type a space and the id of an object first.');
  });

  return {
    async show() {
      try {
        const spaces = await server.call<Page<Space>>('GET', '/v1/spaces', {
          query: { limit: SUGGESTED_MAX },
        });
        suggest(spaces.items);
        if (readField(form, 'space') === '' && spaces.items[0] !== undefined) {
          writeField(form, 'space', spaces.items[0].id);
          show();
        }
      } catch (error) {
        showText(problem, describeFailure(error));
      }
    },
    open(id) {
      writeField(form, 'space', id);
      writeField(form, 'search', '');
      list = null;
      show();
    },
  };
}

function suggest(spaces: readonly Space[]): void {
  find('known-spaces').replaceChildren(
    ...spaces.map(({ id, name }) => Object.assign(make('option', {}, name), { value: id })),
  );
}

function makeObjectRow(
  index: number,
  object: ListedObject | null,
  edit: (id: string) => void,
): HTMLTableRowElement {
  const row = object === null ? makeRow('Loading…', '', '', '', '') : describe(object, edit);
  // The head is the first row.
  row.ariaRowIndex = String(index + 2);
  return row;
}

function describe({ id, name, position, updatedBy, updatedAt }: ListedObject, edit: (id: string) => void) {
  const open = make('button', { className: 'link', title: id }, isolate(id));
  open.type = 'button';
  open.addEventListener('click', () => edit(id));
  const place = [position.x, position.y, position.z].map((length) => +length.toFixed(3)).join(', ');
  return makeRow(open, isolate(name ?? '–'), place, isolate(updatedBy ?? '–'), makeTime(updatedAt));
}
