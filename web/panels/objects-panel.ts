import type { LiveObject, World } from 'worldkeep/client';
import { find, later } from '../dom.ts';

const SHOWN_MAX = 50;
/** Milliseconds between two updates of a list that changes all the time. */
const REFRESH_MS = 500;

/** Finds objects by their name or id, also without a pointer. */
export class ObjectsPanel {
  readonly #world: World;
  readonly #choose: (id: string) => void;
  readonly #list = find('found');
  readonly #input = find<HTMLInputElement>('find');
  readonly #panel = find<HTMLDetailsElement>('objects-panel');

  constructor(world: World, choose: (id: string) => void) {
    this.#world = world;
    this.#choose = choose;
    const show = later(() => this.#show(), REFRESH_MS);
    world.objects.on('enter', show);
    world.objects.on('leave', show);
    world.objects.on('change', (object, before) => {
      if (object.name !== before.name) show();
    });
    this.#input.addEventListener('input', () => this.#show());
    this.#panel.addEventListener('toggle', () => this.#show());
    this.#show();
  }

  #show(): void {
    find('object-count').textContent = `(${this.#world.objects.size.toLocaleString()})`;
    if (!this.#panel.open) return;
    const text = this.#input.value.trim().toLowerCase();
    const found: LiveObject[] = [];
    for (const object of this.#world.objects.values()) {
      if (!`${object.name ?? ''} ${object.id}`.toLowerCase().includes(text)) continue;
      found.push(object);
      if (found.length === SHOWN_MAX) break;
    }
    // A list that is the same keeps its elements, and so the focus.
    const key = found.map(({ id, name }) => `${id} ${name}`).join('\n');
    if (this.#list.dataset.key === key) return;
    this.#list.dataset.key = key;
    this.#list.replaceChildren(
      ...found.map(({ id, name }) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = name ?? id;
        button.title = id;
        button.addEventListener('click', () => this.#choose(id));
        const item = document.createElement('li');
        item.append(button);
        return item;
      }),
    );
  }
}
