type Child = Node | string | number | null;

/** Makes an element. Texts become text nodes, so nothing of a server is ever HTML. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  members: Partial<Pick<HTMLElement, 'className' | 'title' | 'id'>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = Object.assign(document.createElement(name), members);
  element.append(...children.filter((child) => child !== null).map((child) => toNode(child)));
  return element;
}

const toNode = (child: Node | string | number): Node | string =>
  typeof child === 'number' ? child.toLocaleString() : child;

export function makeButton(text: string, onClick: (button: HTMLButtonElement) => void): HTMLButtonElement {
  const button = make('button', {}, text);
  button.type = 'button';
  button.addEventListener('click', () => onClick(button));
  return button;
}

/** A table with a caption for screen readers, in a box that scrolls sideways. */
export function makeTable(label: string, columns: readonly string[]) {
  const head = columns.map((column) => {
    const cell = make('th', column === '' ? { className: 'narrow' } : {});
    cell.scope = 'col';
    if (column === '') cell.append(make('span', { className: 'unseen' }, 'Actions'));
    else cell.append(column);
    return cell;
  });
  const body = make('tbody');
  const table = make('table', {}, make('thead', {}, make('tr', {}, ...head)), body);
  const box = make('section', { className: 'scroll' }, table);
  box.ariaLabel = label;
  box.tabIndex = 0;
  return { box, body };
}

/** A cell of text, an element, or several of them. */
export function makeRow(...cells: (Child | Child[])[]): HTMLTableRowElement {
  return make('tr', {}, ...cells.map((cell) => make('td', {}, ...(Array.isArray(cell) ? cell : [cell]))));
}

/** A text in a direction of its own, so that it cannot change the order of the texts around it. */
export const isolate = (text: string, className = ''): HTMLElement => make('bdi', { className }, text);

/** JSON as the person reads it: one line, and all of it when opened. */
export function makeJson(value: unknown): HTMLElement {
  const text = JSON.stringify(value);
  if (text.length <= SHORT_JSON) return make('code', {}, text);
  const pre = make('pre', {}, JSON.stringify(value, null, 2));
  return make('details', {}, make('summary', {}, `${text.slice(0, SHORT_JSON)}…`), pre);
}

const SHORT_JSON = 80;

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' });

export const formatTime = (at: string): string => TIME.format(new Date(at));

/** A time in the zone of the person, with the exact one as title. */
export function makeTime(at: string | null, none = '–'): Node {
  if (at === null) return document.createTextNode(none);
  const time = make('time', { title: at }, formatTime(at));
  time.dateTime = at;
  return time;
}

/** Shows a text, or hides its element. */
export function showText(element: HTMLElement, text: string | null): void {
  element.hidden = text === null;
  if (element.textContent !== (text ?? '')) element.textContent = text ?? '';
}

/** The text of a field of a form, without spaces around it. */
export function readField(form: HTMLFormElement, name: string): string {
  return (form.elements.namedItem(name) as HTMLInputElement).value.trim();
}

export function writeField(form: HTMLFormElement, name: string, value: string): void {
  (form.elements.namedItem(name) as HTMLInputElement).value = value;
}

/** The time of a field for local times, as RFC 3339; null if it is empty. */
export function readTime(form: HTMLFormElement, name: string): string | null {
  const text = readField(form, name);
  return text === '' ? null : new Date(text).toISOString();
}
