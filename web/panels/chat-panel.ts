import type { LiveMessage, World } from 'worldkeep/client';
import { find, later } from '../dom.ts';

/** Pixels from the end of the list at which new messages scroll into sight. */
const NEAR_END = 40;

/** The messages of the world, and a field for another one. */
export function showChat(world: World): void {
  const list = find('messages');
  const input = find<HTMLInputElement>('text');
  const items = new Map<string, HTMLElement>();
  const show = later(() => {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END;
    const { messages } = world.chat;
    const ids = new Set(messages.map(({ id }) => id));
    for (const [id, item] of items)
      if (!ids.has(id)) {
        item.remove();
        items.delete(id);
      }
    // Screen readers read each new element aloud, so a message keeps its element.
    for (const [i, message] of messages.entries()) {
      const item = items.get(message.id) ?? document.createElement('div');
      items.set(message.id, item);
      if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
      fill(item, message, nameOf(world, message));
    }
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  });
  world.chat.on('change', show);
  world.users.on('enter', show);
  find<HTMLFormElement>('say').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text === '') return;
    world.say(text);
    input.value = '';
  });
  show();
}

function nameOf(world: World, { userId }: LiveMessage): string {
  return userId === null ? 'Nobody' : (world.users.get(userId)?.displayName ?? userId);
}

function fill(item: HTMLElement, { text, seq }: LiveMessage, name: string): void {
  const key = JSON.stringify([name, text, seq === 0]);
  if (item.dataset.key === key) return;
  item.dataset.key = key;
  const author = document.createElement('b');
  author.append(document.createElement('bdi'));
  author.firstElementChild?.append(name);
  const words = document.createElement('bdi');
  words.textContent = text;
  item.replaceChildren(author, ': ', words);
  item.classList.toggle('pending', seq === 0);
  if (seq === 0) item.append(' (not sent yet)');
}
