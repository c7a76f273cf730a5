import { find } from '../dom.ts';
import { showAudit } from './audit.ts';
import type { Context, Section } from './context.ts';
import { showDeadLetters } from './dead-letters.ts';
import { showText } from './elements.ts';
import { showIncidents } from './incidents.ts';
import { showJobs } from './jobs.ts';
import { describeKey, type KnownKey } from './key.ts';
import { showKeys } from './keys.ts';
import { showObjects } from './objects.ts';
import { showOverview } from './overview.ts';
import { showPeople } from './people.ts';
import { describeFailure, Refused, Server } from './server.ts';
import { showSpaces } from './spaces.ts';

const form = find<HTMLFormElement>('sign-in-form');
const field = find<HTMLInputElement>('key');
const problem = find('sign-in-problem');

/** Ends what the signed-in page does, and forgets its key with it. */
let signedIn: AbortController | null = null;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void signIn(field.value.trim());
});
// A page in the back/forward cache would keep the key.
addEventListener('pagehide', () => signOut(null));
field.focus();

async function signIn(key: string): Promise<void> {
  const known = await describeKey(key);
  if (known === null) {
    showText(problem, 'This is no API key. A key has the form wk_<tenant>_<secret>.');
    return;
  }
  const button = form.querySelector('button');
  if (button !== null) button.disabled = true;
  const session = new AbortController();
  const { signal } = session;
  const onUnauthorized = () =>
    signOut('The server does not accept this key: it is unknown, revoked or expired.');
  const server = new Server(key, { signal, onUnauthorized });
  try {
    signedIn = session;
    // Any route that needs admin tells whether the key has it.
    await server.send('GET', '/v1/keys', { query: { limit: 1 } });
    showText(problem, null);
    openPage(server, known, signal);
  } catch (error) {
    if (signal.aborted) return;
    signOut(
      error instanceof Refused && error.status === 403
        ? 'This key lacks the scope admin, which this page needs.'
        : describeFailure(error),
    );
  } finally {
    if (button !== null) button.disabled = false;
  }
}

/** Removes everything that the signed-in page showed. @param reason null: the person wanted it */
function signOut(reason: string | null): void {
  signedIn?.abort();
  signedIn = null;
  field.value = '';
  document.getElementById('ops')?.remove();
  document.title = 'worldkeep operations';
  find('sign-in').hidden = false;
  showText(problem, reason);
  field.focus();
}

function openPage(server: Server, { tenantId, keyId }: KnownKey, signal: AbortSignal): void {
  field.value = '';
  find('sign-in').hidden = true;
  const page = document.createElement('div');
  page.id = 'ops';
  page.append(find<HTMLTemplateElement>('signed-in').content.cloneNode(true));
  document.body.append(page);
  find('tenant').textContent = tenantId;
  find('sign-out').addEventListener('click', () => signOut(null));

  const context: Context = {
    server,
    keyId,
    signal,
    openObjects(space) {
      objects.open(space);
      location.hash = 'objects';
    },
    openAudit(filter) {
      audit.open(filter);
      location.hash = 'audit';
    },
  };
  const objects = showObjects(context);
  const audit = showAudit(context);
  const sections: Record<string, Section> = {
    overview: showOverview(context),
    spaces: showSpaces(context),
    objects,
    'dead-letters': showDeadLetters(context),
    incidents: showIncidents(context),
    jobs: showJobs(context),
    keys: showKeys(context),
    people: showPeople(context),
    audit,
  };
  const open = (isFirst: boolean) => {
    const name = location.hash.slice(1);
    const shown = Object.hasOwn(sections, name) ? name : 'overview';
    for (const id of Object.keys(sections)) find(id).hidden = id !== shown;
    for (const link of page.querySelectorAll('nav a'))
      link.ariaCurrent = link.getAttribute('href') === `#${shown}` ? 'page' : null;
    const title = find(`${shown}-title`);
    document.title = `${title.textContent} – worldkeep operations`;
    sections[shown]?.show();
    // Screen readers read the new section. The page itself stays where it is.
    if (!isFirst) title.focus({ preventScroll: true });
  };
  addEventListener('hashchange', () => open(false), { signal });
  open(true);
}
