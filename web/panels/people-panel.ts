import type { World } from 'worldkeep/client';
import { find, later } from '../dom.ts';

/** Lists the people who are in the world now. */
export function showPeople(world: World): void {
  const show = later(() => {
    const { users } = world.presence;
    find('people-count').textContent = `(${users.length.toLocaleString()})`;
    find('people').replaceChildren(
      ...users.map(({ userId, sessions }) => {
        const name = document.createElement('bdi');
        name.textContent = world.users.get(userId)?.displayName ?? userId;
        const item = document.createElement('li');
        item.append(name);
        if (userId === world.userId) item.append(' (you)');
        if (sessions > 1) item.append(` · ${sessions} sessions`);
        return item;
      }),
    );
  }, 100);
  world.presence.on('change', show);
  world.users.on('enter', show);
  world.users.on('leave', show);
  world.users.on('change', (user, before) => {
    if (user.displayName !== before.displayName) show();
  });
  show();
}
