import type { World, WorldStatus } from 'worldkeep/client';
import { find } from '../dom.ts';
import { HOLDERS, type Marks } from '../scene/marks.ts';
import type { Stage } from '../scene/stage.ts';

const REFRESH_MS = 250;

const WORDS: Record<WorldStatus, string> = {
  connecting: 'Connecting',
  live: 'Live',
  offline: 'Offline',
  unauthorized: 'Signed out',
  closed: 'Closed',
};

/** Says whether the server answers, what waits, and how the page does. */
export function showStatus(world: World, marks: Marks, stage: Stage): void {
  const legend = find('legend');
  const counts = Object.entries(HOLDERS).map(([level, { label }]) => {
    const item = document.createElement('li');
    item.dataset.level = level;
    item.title = label;
    const dot = document.createElement('i');
    dot.className = 'dot';
    item.append(dot, '');
    legend.append(item);
    return item.lastChild as Text;
  });
  const checkbox = find<HTMLInputElement>('show-marks');
  checkbox.addEventListener('change', () => {
    marks.isShown = checkbox.checked;
    stage.invalidate();
  });
  let shown = '';
  const show = () => {
    const { status, unsent } = world;
    const text = WORDS[status];
    if (shown !== status) {
      shown = status;
      const pill = find('status');
      pill.dataset.status = status;
      pill.querySelectorAll('span')[0]?.replaceChildren(text);
    }
    const { local, queued } = marks.count();
    const committed = world.objects.size - local - queued;
    for (const [i, [count, word]] of [
      [local, 'sent'] as const,
      [queued, 'queued'] as const,
      [committed, 'committed'] as const,
    ].entries()) {
      const item = counts[i];
      if (item !== undefined) item.data = `${count.toLocaleString()} ${word}`;
    }
    showOutage(status, unsent);
    showFigures(world, stage);
  };
  world.on('status', show);
  setInterval(show, REFRESH_MS);
  show();
}

function showOutage(status: WorldStatus, unsent: number): void {
  const outage = find('outage');
  const text = describeOutage(status, unsent);
  outage.hidden = text === null;
  // The same text again would be read aloud again.
  if (text !== null && outage.textContent !== text) outage.textContent = text;
}

function describeOutage(status: WorldStatus, unsent: number): string | null {
  const waiting =
    unsent === 0
      ? 'Your changes will wait in this browser.'
      : `${unsent === 1 ? '1 change of yours waits' : `${unsent.toLocaleString()} changes of yours wait`} in this browser, also if you close the tab.`;
  if (status === 'offline')
    return `The server does not answer. Go on: what you see is the world as it was. ${waiting} The page sends them when the server answers again.`;
  if (status === 'unauthorized')
    return `Your sign-in has ended. Open a new sign-in link in this tab. ${waiting}`;
  return null;
}

function showFigures(world: World, stage: Stage): void {
  const { frames } = stage;
  const newest = frames.at(-1);
  if (newest === undefined) return;
  find('figures').textContent =
    `${world.objects.size.toLocaleString()} objects · ${newest.drawCalls} draw calls · ${(newest.updateMs + newest.renderMs).toFixed(1)} ms`;
}
