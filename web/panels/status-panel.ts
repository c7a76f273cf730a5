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

/** An outage in words. The detail may change often. */
interface Outage {
  text: string;
  detail?: string;
}

/** Says what is wrong, until there is another answer; null: nothing is. */
export function showOutage(outage: Outage | null): void {
  const panel = find('outage');
  const [text, detail] = panel.querySelectorAll('span');
  panel.hidden = outage === null;
  setText(text, outage?.text ?? '');
  setText(detail, outage?.detail ?? '');
  // Screen readers read each new text aloud, so the detail is not a part of it.
  setText(find('outage-news'), outage?.text ?? '');
}

/** The same text again would be read aloud again. */
function setText(element: Element | undefined, text: string): void {
  if (element !== undefined && element.textContent !== text) element.textContent = text;
}

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
      [local, 'sending'] as const,
      [queued, 'queued'] as const,
      [committed, 'committed'] as const,
    ].entries()) {
      const item = counts[i];
      if (item !== undefined) item.data = `${count.toLocaleString()} ${word}`;
    }
    showOutage(describeOutage(status, unsent) ?? (stage.isLost ? LOST : null));
    showFigures(world, stage);
  };
  world.on('status', (status) => {
    show();
    if (status === 'closed') clearInterval(timer);
  });
  const timer = setInterval(show, REFRESH_MS);
  show();
}

const LOST: Outage = {
  text: 'This browser has stopped drawing in 3D. The picture comes back by itself. If it does not, reload the page: nothing is lost.',
};

function describeOutage(status: WorldStatus, unsent: number): Outage | null {
  const detail =
    unsent === 0
      ? 'Your changes will wait in this browser.'
      : `${unsent === 1 ? '1 change of yours waits' : `${unsent.toLocaleString()} changes of yours wait`} in this browser, also if you close the tab.`;
  if (status === 'offline')
    return {
      text: 'The server does not answer. Go on: the page sends your changes when the server answers again.',
      detail,
    };
  if (status === 'unauthorized')
    return { text: 'Your sign-in has ended. Open a new sign-in link in this tab.', detail };
  return null;
}

function showFigures(world: World, stage: Stage): void {
  const { frames } = stage;
  const newest = frames.at(-1);
  if (newest === undefined) return;
  find('figures').textContent =
    `${world.objects.size.toLocaleString()} objects · ${newest.drawCalls} draw calls · ${(newest.updateMs + newest.renderMs).toFixed(1)} ms`;
}
