import { find } from '../dom.ts';

export interface Question {
  title: string;
  text: string;
  /** The text of the button that does it. */
  action: string;
  /** The person types this before the button works. */
  typed?: string;
}

/** Asks before something that cannot be undone. */
export function confirm({ title, text, action, typed }: Question): Promise<boolean> {
  const dialog = find<HTMLDialogElement>('confirm');
  const yes = find<HTMLButtonElement>('confirm-yes');
  const label = find('confirm-label');
  const input = find<HTMLInputElement>('confirm-typed');
  find('confirm-title').textContent = title;
  find('confirm-text').textContent = text;
  yes.textContent = action;
  label.hidden = input.hidden = typed === undefined;
  label.textContent = `Type ${typed} to confirm`;
  input.value = '';
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asking = new AbortController();
  const { signal } = asking;
  const check = () => {
    yes.disabled = typed !== undefined && input.value.trim() !== typed;
  };
  input.addEventListener('input', check, { signal });
  find('confirm-no').addEventListener('click', () => dialog.close('no'), { signal });
  dialog.addEventListener(
    'close',
    () => {
      asking.abort();
      resolve(dialog.returnValue === 'yes' && !yes.disabled);
    },
    { signal },
  );
  check();
  dialog.returnValue = 'no';
  dialog.showModal();
  (typed === undefined ? find('confirm-no') : input).focus();
  return promise;
}
