import type { JsonObject, LiveObject, ObjectChanges, World } from 'worldkeep/client';
import { find, later } from '../dom.ts';
import { type Editor, fromDegrees, toDegrees } from '../editing/editor.ts';
import { buildMergePatch } from '../editing/merge-patch.ts';
import { HOLDERS } from '../scene/marks.ts';
import type { Scenery } from '../scene/scenery.ts';
import { readColor, readShape, SHAPES } from '../scene/shapes.ts';

const AXES = ['x', 'y', 'z'] as const;
const VECTORS = ['position', 'rotation', 'scale'] as const;
/** Milliseconds between two looks at what holds the object. */
const HELD_MS = 200;

type Vector = (typeof VECTORS)[number];

/** Shows the selected object as a form. Each changed field is one step. */
export class ObjectPanel {
  readonly #world: World;
  readonly #editor: Editor;
  readonly #scenery: Scenery;
  readonly #form = find<HTMLFormElement>('object-form');
  readonly #problem = find('object-problem');
  #shownId: string | null = null;
  /** The properties in the form. While the person writes, the object may have newer ones. */
  #shownProperties: JsonObject = {};
  /** The field whose text is not valid. */
  #refused: string | null = null;

  /** @param canEdit whether the person may change objects */
  constructor(world: World, editor: Editor, scenery: Scenery, canEdit: boolean) {
    this.#world = world;
    this.#editor = editor;
    this.#scenery = scenery;
    for (const shape of SHAPES) this.#field<HTMLSelectElement>('shape').add(new Option(shape));
    this.#form.addEventListener('change', ({ target }) => this.#take(target as HTMLInputElement));
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    for (const element of this.#form.elements)
      if (!canEdit && element.id !== 'focus') element.setAttribute('disabled', '');
    const show = later(() => this.#show());
    editor.onChange(show);
    world.objects.on('change', ({ id }) => {
      if (id === this.#shownId) show();
    });
    setInterval(() => this.#showHolder(), HELD_MS);
  }

  #field<Field extends HTMLElement = HTMLInputElement>(name: string): Field {
    return this.#form.elements.namedItem(name) as Field & HTMLElement as Field;
  }

  #show(): void {
    const { selected } = this.#editor;
    find('no-object').hidden = selected !== null;
    this.#form.hidden = selected === null;
    if (selected?.id !== this.#shownId) {
      // A field that has the focus would keep its text. The change event of that text belongs to the object before.
      if (this.#form.contains(document.activeElement)) (document.activeElement as HTMLElement).blur();
      this.#shownId = selected?.id ?? null;
      this.#problem.hidden = true;
      this.#refused = null;
      if (selected !== null) find<HTMLDetailsElement>('object-panel').open = true;
    }
    if (selected === null) return;
    const { name, parentId, position, scale, properties } = selected;
    this.#set('name', name ?? '');
    this.#set('parentId', parentId ?? '');
    for (const [vector, value] of [
      ['position', position],
      ['rotation', toDegrees(selected.rotation)],
      ['scale', scale],
    ] as const)
      for (const axis of AXES) this.#set(`${vector}.${axis}`, String(round(value[axis])));
    find('shape-fields').hidden = selected.modelId !== null;
    this.#set('shape', readShape(selected));
    this.#set('color', `#${readColor(selected).getHexString()}`);
    if (this.#set('properties', JSON.stringify(properties, null, 1))) this.#shownProperties = properties;
    this.#showFacts(selected);
    this.#showHolder();
  }

  /**
   * A field in which the person writes stays as it is, and so does one whose text was refused.
   * @returns whether the field shows the value now
   */
  #set(name: string, value: string): boolean {
    const field = this.#field(name);
    if (field === document.activeElement || name === this.#refused) return false;
    if (field.value !== value) field.value = value;
    return true;
  }

  #showFacts({ id, modelId, seq, updatedBy }: LiveObject): void {
    const by = updatedBy === null ? '' : ` by ${this.#world.users.get(updatedBy)?.displayName ?? updatedBy}`;
    const at =
      seq === 0 ? 'not yet confirmed' : `last changed ${new Date(seq / 1_000).toLocaleTimeString()}${by}`;
    find('object-facts').textContent = `${id} · ${at}${modelId === null ? '' : ` · model ${modelId}`}`;
  }

  #showHolder(): void {
    if (this.#shownId === null) return;
    const level = this.#world.durabilityOf(this.#shownId);
    const held = find('held');
    if (held.dataset.level !== level) {
      held.dataset.level = level;
      held.querySelectorAll('span')[0]?.replaceChildren(HOLDERS[level].label);
    }
    const problem =
      this.#scenery.figures.get(this.#shownId)?.isShown === false
        ? 'It is not drawn: its place or its size is beyond 10,000,000 metres.'
        : this.#scenery.problemOf(this.#shownId);
    find('model-problem').hidden = problem === null;
    find('model-problem').textContent = problem;
  }

  #take(field: HTMLInputElement): void {
    const object = this.#shownId === null ? undefined : this.#world.objects.get(this.#shownId);
    if (object === undefined) return;
    const { changes, problem } = this.#read(field, object);
    this.#refused = problem === undefined ? null : field.name;
    this.#problem.hidden = problem === undefined;
    this.#problem.textContent = problem ?? '';
    if (changes !== undefined) this.#editor.change(object.id, changes);
    if (this.#editor.selected?.id === object.id) this.#show();
  }

  #read(
    { name, value, valueAsNumber }: HTMLInputElement,
    object: LiveObject,
  ): { changes?: ObjectChanges; problem?: string } {
    const [vector, axis] = name.split('.') as [Vector, (typeof AXES)[number]];
    if (VECTORS.includes(vector)) {
      if (!Number.isFinite(valueAsNumber)) return { problem: `${vector} ${axis} is not a number.` };
      if (vector === 'rotation')
        return {
          changes: { rotation: fromDegrees({ ...toDegrees(object.rotation), [axis]: valueAsNumber }) },
        };
      return { changes: { [vector]: { ...object[vector], [axis]: valueAsNumber } } };
    }
    if (name === 'name') return { changes: { name: value === '' ? null : value } };
    if (name === 'parentId') {
      if (value === object.id) return { problem: 'An object cannot be its own parent.' };
      return { changes: { parentId: value === '' ? null : value } };
    }
    if (name === 'shape' || name === 'color') return { changes: { properties: { [name]: value } } };
    return readProperties(value, this.#shownProperties);
  }
}

/** The difference between the properties that the form showed and a text. Changes that others made meanwhile stay. */
function readProperties(text: string, shown: JsonObject): { changes?: ObjectChanges; problem?: string } {
  let written: unknown;
  try {
    written = JSON.parse(text);
  } catch (error) {
    return { problem: `The properties are not JSON: ${(error as Error).message}` };
  }
  if (typeof written !== 'object' || written === null || Array.isArray(written))
    return { problem: 'The properties must be a JSON object, such as {"color": "red"}.' };
  if (Object.hasOwn(written, '__proto__')) return { problem: 'No property can have the name "__proto__".' };
  const patch = buildMergePatch(shown, written as JsonObject);
  return patch === null ? {} : { changes: { properties: patch } };
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
