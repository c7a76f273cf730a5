import { find, notify } from '../dom.ts';
import { confirm } from './confirm.ts';
import type { Context, Section } from './context.ts';
import { make, makeButton, makeRow, makeTime, readTime, showText } from './elements.ts';
import { showPages } from './pages.ts';
import { describeFailure, encodeId, type Page } from './server.ts';

interface Key {
  id: string;
  scopes: string[];
  createdAt: string;
  expiresAt: string | null;
  revokedAt: string | null;
}

/** The API keys of the tenant. */
export function showKeys({ server, keyId }: Context): Section {
  const form = find<HTMLFormElement>('key-form');
  const problem = find('key-problem');
  const panel = find('new-key');
  const secret = panel.querySelector('code');
  if (secret === null) throw new Error('The page has no place for a new key.');

  async function create(): Promise<void> {
    const scopes = new FormData(form).getAll('scope');
    showText(problem, null);
    try {
      const expiresAt = readTime(form, 'expiresAt');
      const key = await server.call<Key & { secret: string }>('POST', '/v1/keys', {
        json: { scopes, ...(expiresAt !== null && { expiresAt }) },
      });
      secret?.replaceChildren(key.secret);
      panel.hidden = false;
      form.reset();
      void pages.reload();
    } catch (error) {
      showText(problem, describeFailure(error));
    }
  }

  async function copy(): Promise<void> {
    if (secret === null) return;
    try {
      await navigator.clipboard.writeText(secret.textContent ?? '');
      notify('The secret is in the clipboard.');
    } catch {
      // Browsers offer the clipboard only over HTTPS, and only if the person allows it.
      getSelection()?.selectAllChildren(secret);
      notify('The browser did not copy it. The secret is selected: press Ctrl+C.');
    }
  }

  async function revoke({ id }: Key): Promise<void> {
    const isOwn = id === keyId;
    const question = {
      title: 'Revoke this key?',
      text: `${id} stops working, and cannot be restored.${isOwn ? ' It is the key that you signed in with: you will be signed out.' : ''}`,
      action: 'Revoke',
    };
    if (!(await confirm(question))) return;
    try {
      await server.send('DELETE', `/v1/keys/${encodeId(id)}`);
      void pages.reload();
    } catch (error) {
      notify(describeFailure(error));
    }
  }

  const pages = showPages<Key>({
    label: 'Keys',
    columns: ['Id', 'Scopes', 'Created', 'Ends', 'Revoked', ''],
    none: 'No keys.',
    load: (cursor) => server.call<Page<Key>>('GET', '/v1/keys', { query: { limit: 100, cursor } }),
    row(key) {
      const { id, scopes, createdAt, expiresAt, revokedAt } = key;
      const button = makeButton('Revoke', () => void revoke(key));
      button.ariaLabel = `Revoke ${id}`;
      return makeRow(
        [make('code', {}, id), id === keyId ? ' (yours)' : null],
        scopes.join(', '),
        makeTime(createdAt),
        makeTime(expiresAt, 'never'),
        makeTime(revokedAt),
        revokedAt === null ? button : null,
      );
    },
  });
  find('keys').append(pages.element);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void create();
  });
  find('copy-key').addEventListener('click', () => void copy());
  const hide = () => {
    secret.replaceChildren();
    panel.hidden = true;
  };
  find('hide-key').addEventListener('click', hide);
  return {
    show() {
      hide();
      void pages.reload();
    },
  };
}
