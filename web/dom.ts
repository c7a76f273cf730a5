/** An element of the page. @throws Error if the page has none with this id */
export function find<Element extends HTMLElement>(id: string): Element {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no element "${id}".`);
  return element as Element;
}

/** Runs a task once, a little later, however often it is asked for. */
export function later(task: () => void, ms = 0): () => void {
  let isDue = false;
  const run = () => {
    isDue = false;
    task();
  };
  return () => {
    if (isDue) return;
    isDue = true;
    if (ms === 0) requestAnimationFrame(run);
    else setTimeout(run, ms);
  };
}

const NOTICE_MS = 8_000;
const NOTICES_MAX = 4;

/** Tells the person something for some seconds. @returns takes it away before */
export function notify(text: string): () => void {
  const notices = find('notices');
  const notice = document.createElement('p');
  notice.textContent = text;
  notices.append(notice);
  while (notices.childElementCount > NOTICES_MAX) notices.firstElementChild?.remove();
  setTimeout(() => notice.remove(), NOTICE_MS);
  return () => notice.remove();
}
