import type { JsonObject } from 'worldkeep/client';
import { find, notify } from '../dom.ts';
import { buildMergePatch } from '../editing/merge-patch.ts';
import { describeAudit, loadAudit } from './audit-rows.ts';
import { confirm } from './confirm.ts';
import type { Context } from './context.ts';
import { makeTime, readField, showText, writeField } from './elements.ts';
import type { ListedObject } from './object-list.ts';
import { type Pages, showPages } from './pages.ts';
import { describeFailure, encodeId, Refused } from './server.ts';

export interface EditedObject extends ListedObject {
  modelId: string | null;
  parentId: string | null;
  rotation: { x: number; y: number; z: number; w: number };
  scale: { x: number; y: number; z: number };
  properties: JsonObject;
  seq: number;
  createdBy: string | null;
  createdAt: string;
}

const VECTORS = {
  position: ['x', 'y', 'z'],
  rotation: ['x', 'y', 'z', 'w'],
  scale: ['x', 'y', 'z'],
} as const;
const TEXTS = ['name', 'modelId', 'parentId'] as const;

const CONFLICT =
  'Somebody else changed this object since you opened it, so nothing was saved. "Load again" shows the object as it is now, and drops your changes.';

export interface OpenedObject {
  space: string;
  id: string;
  /** Gets the object as it is now; null if it is deleted. */
  onChange(object: EditedObject | null): void;
  onClose(): void;
}

/** Shows one object with its audit, and changes it. A change names the seq that the person saw, so it never overwrites another one. */
export async function openObject(
  context: Context,
  { space, id, onChange, onClose }: OpenedObject,
): Promise<void> {
  const { server } = context;
  const dialog = find<HTMLDialogElement>('object-dialog');
  const form = find<HTMLFormElement>('object-form');
  const problem = find('object-problem');
  const status = find('object-status');
  const path = `/v1/spaces/${encodeId(space)}/objects/${encodeId(id)}`;
  const closing = new AbortController();
  const { signal } = closing;
  let shown: EditedObject | null = null;

  function show(object: EditedObject): void {
    shown = object;
    fill(form, object);
    describeFacts(object);
    onChange(object);
  }

  async function run(work: () => Promise<string>): Promise<void> {
    showText(problem, null);
    status.textContent = '';
    setBusy(true);
    try {
      const text = await work();
      if (!signal.aborted) status.textContent = text;
    } catch (error) {
      if (signal.aborted) return;
      showText(problem, error instanceof Refused && error.status === 412 ? CONFLICT : describeFailure(error));
    } finally {
      if (!signal.aborted) setBusy(false);
    }
  }

  function setBusy(isBusy: boolean): void {
    for (const button of form.querySelectorAll('button'))
      if (button.id !== 'close-object') button.disabled = isBusy;
  }

  async function load(): Promise<string> {
    const object = await server.call<EditedObject>('GET', path);
    if (!signal.aborted) show(object);
    return '';
  }

  async function save(): Promise<string> {
    if (shown === null) return 'There is nothing to save.';
    const patch = buildMergePatch(pickEditable(shown), readForm(form, shown));
    if (patch === null) return 'Nothing differs, so nothing was saved.';
    // A rotation is changed as a whole.
    if (patch.rotation !== undefined) patch.rotation = readForm(form, shown).rotation ?? null;
    const answer = await server.send('PATCH', path, {
      json: patch,
      headers: { 'If-Match': `"${shown.seq}"` },
    });
    const text = await answer.text();
    if (answer.status === 202) return 'The server accepted the change, and commits it later.';
    // A key without the scope read gets no object.
    if (text !== '' && !signal.aborted) show(JSON.parse(text));
    void audit.reload();
    return 'Saved.';
  }

  async function remove(): Promise<string> {
    if (shown === null) return 'There is nothing to delete.';
    const question = {
      title: 'Delete this object?',
      text: `${id} in ${space} is deleted for everybody in the space. This cannot be undone here.`,
      action: 'Delete',
    };
    if (!(await confirm(question))) return '';
    await server.send('DELETE', path, { headers: { 'If-Match': `"${shown.seq}"` } });
    onChange(null);
    notify(`${id} is deleted.`);
    dialog.close();
    return '';
  }

  const audit = showAuditOf(context, space, id);
  find('object-title').textContent = `${id} in ${space}`;
  find('object-facts').replaceChildren();
  form.reset();
  form.addEventListener(
    'submit',
    (event) => {
      event.preventDefault();
      void run(save);
    },
    { signal },
  );
  find('reload-object').addEventListener('click', () => void run(load), { signal });
  find('delete-object').addEventListener('click', () => void run(remove), { signal });
  find('close-object').addEventListener('click', () => dialog.close(), { signal });
  dialog.addEventListener(
    'close',
    () => {
      closing.abort();
      onClose();
    },
    { signal },
  );
  dialog.showModal();
  void audit.reload();
  await run(load);
}

function showAuditOf({ server }: Context, space: string, object: string): Pages {
  const pages = showPages({
    label: 'Audit of this object',
    columns: ['Time', 'Actor', 'Action', 'Old', 'New', 'Request'],
    none: 'The audit has nothing about this object.',
    load: (cursor) => loadAudit(server, { space, object }, cursor),
    row: (entry) => {
      const { time, actor, action, before, after, request } = describeAudit(entry);
      return makeAuditRow(time, actor, action, before, after, request);
    },
  });
  find('object-audit').replaceChildren(pages.element);
  return pages;
}

function makeAuditRow(...cells: Node[]): HTMLTableRowElement {
  const row = document.createElement('tr');
  for (const cell of cells) row.insertCell().append(cell);
  return row;
}

function describeFacts({ seq, createdBy, createdAt, updatedBy, updatedAt }: EditedObject): void {
  find('object-facts').replaceChildren(
    `seq ${seq} · created by ${createdBy ?? 'nobody'}, `,
    makeTime(createdAt),
    ` · changed by ${updatedBy ?? 'nobody'}, `,
    makeTime(updatedAt),
  );
}

function pickEditable({ name, modelId, parentId, position, rotation, scale, properties }: EditedObject) {
  return { name, modelId, parentId, position, rotation, scale, properties } as unknown as JsonObject;
}

function fill(form: HTMLFormElement, object: EditedObject): void {
  for (const name of TEXTS) writeField(form, name, object[name] ?? '');
  for (const [name, axes] of Object.entries(VECTORS))
    for (const axis of axes) {
      const vector = object[name as keyof typeof VECTORS] as unknown as Record<string, number>;
      writeField(form, `${name}.${axis}`, String(vector[axis]));
    }
  writeField(form, 'properties', JSON.stringify(object.properties, null, 2));
}

/** The object as the form has it. @throws Error if a field has another form */
function readForm(form: HTMLFormElement, { name }: EditedObject): JsonObject {
  const texts = TEXTS.map((field) => {
    const text = readField(form, field);
    // An empty name stays empty.
    return [field, text === '' && !(field === 'name' && name === '') ? null : text];
  });
  const vectors = Object.entries(VECTORS).map(([field, axes]) => [
    field,
    Object.fromEntries(axes.map((axis) => [axis, readNumber(form, `${field}.${axis}`)])),
  ]);
  return { ...Object.fromEntries([...texts, ...vectors]), properties: readProperties(form) };
}

function readNumber(form: HTMLFormElement, name: string): number {
  const text = readField(form, name);
  const number = Number(text);
  if (text === '' || !Number.isFinite(number))
    throw new Error(`"${text}" in the field ${name} is no number.`);
  return number;
}

function readProperties(form: HTMLFormElement): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(readField(form, 'properties') || '{}');
  } catch (error) {
    throw new Error(`The properties are no JSON: ${describeFailure(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('The properties must be a JSON object, such as {"lit": true}.');
  return value as JsonObject;
}
