import type { Durability, World, WorldStatus } from 'worldkeep/client';
import { find } from '../dom.ts';
import { HOLDERS, type Marks } from '../scene/marks.ts';
import type { Stage } from '../scene/stage.ts';

const REFRESH_MS = 250;

/** The words of the legend. Rare levels are hidden while no object has them. */
const LEVEL_WORDS: Record<Durability, string> = {
  local: 'sending',
  memory: 'in memory',
  spilled: 'spilled',
  queued: 'queued',
  committed: 'committed',
};
const RARE: readonly Durability[] = ['memory', 'spilled'];

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
  const levels = Object.keys(HOLDERS) as Durability[];
  const items = levels.map((level) => {
    const { label } = HOLDERS[level];
    const item = document.createElement('li');
    item.dataset.level = level;
    item.title = label;
    const dot = document.createElement('i');
    dot.className = 'dot';
    item.append(dot, '');
    legend.append(item);
    return item;
  });
  const checkbox = find<HTMLInputElement>('show-marks');
  checkbox.addEventListener('change', () => {
    marks.isShown = checkbox.checked;
    stage.invalidate();
  });
  let shown = '';
  const show = () => {
    const { status } = world;
    const text = WORDS[status];
    if (shown !== status) {
      shown = status;
      const pill = find('status');
      pill.dataset.status = status;
      pill.querySelectorAll('span')[0]?.replaceChildren(text);
    }
    const held = marks.count();
    const { local, memory, spilled, queued } = held;
    const counts = { ...held, committed: world.objects.size - local - memory - spilled - queued };
    for (const [i, level] of levels.entries()) {
      const item = items[i];
      if (item === undefined) continue;
      item.hidden = RARE.includes(level) && counts[level] === 0;
      (item.lastChild as Text).data = `${counts[level].toLocaleString()} ${LEVEL_WORDS[level]}`;
    }
    showOutage(describeOutage(world, spilled) ?? (stage.isLost ? LOST : null));
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

const STORE_AWAY =
  'The server answers, but one of its stores is away. Go on: the page catches up when it is back.';

/** @param spilled objects whose last change waits in Postgres for its place in the order */
function describeOutage({ status, unsent, error }: World, spilled: number): Outage | null {
  const waiting =
    unsent === 0
      ? 'Your changes will wait in this browser.'
      : `${unsent === 1 ? '1 change of yours waits' : `${unsent.toLocaleString()} changes of yours wait`} in this browser, also if you close the tab.`;
  const detail =
    spilled === 0 ? waiting : `Postgres keeps the changes that are marked as spilled. ${waiting}`;
  if (status === 'unauthorized')
    return { text: 'Your sign-in has ended. Open a new sign-in link in this tab.', detail };
  // The stream may stay open while Redis is away.
  if (spilled > 0 || (status === 'offline' && error?.code === 'store_unavailable'))
    return { text: STORE_AWAY, detail };
  if (status === 'offline')
    return {
      text: 'The server does not answer. Go on: the page sends your changes when the server answers again.',
      detail,
    };
  return null;
}

function showFigures(world: World, stage: Stage): void {
  const { frames } = stage;
  const newest = frames.at(-1);
  if (newest === undefined) return;
  find('figures').textContent =
    `${world.objects.size.toLocaleString()} objects · ${newest.drawCalls} draw calls · ${(newest.updateMs + newest.renderMs).toFixed(1)} ms`;
}
