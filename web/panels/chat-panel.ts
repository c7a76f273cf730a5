import type { LiveMessage, World } from 'worldkeep/client';
import { find, later } from '../dom.ts';

/** Pixels from the end of the list at which new messages scroll into sight. */
const NEAR_END = 40;

/** The messages of the world, and a field for another one. */
export function showChat(world: World): void {
  const list = find('messages');
  const input = find<HTMLInputElement>('text');
  const show = later(() => {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END;
    list.replaceChildren(...world.chat.messages.map((message) => buildMessage(world, message)));
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

function buildMessage(world: World, { userId, text, seq }: LiveMessage): HTMLElement {
  const author = document.createElement('b');
  author.append(document.createElement('bdi'));
  author.firstElementChild?.append(
    userId === null ? 'Nobody' : (world.users.get(userId)?.displayName ?? userId),
  );
  const words = document.createElement('bdi');
  words.textContent = text;
  const item = document.createElement('li');
  item.append(author, ': ', words);
  if (seq === 0) {
    item.className = 'pending';
    item.append(' (not sent yet)');
  }
  return item;
}
