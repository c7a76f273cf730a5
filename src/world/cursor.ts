import { AppError } from './errors.ts';

/** A list's cursor is the encoded last id of the page before. `''` is the beginning, because no id is empty. */
export function writeCursor(lastId: string): string {
  return btoa(`v1:${lastId}`).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @returns the id after which the page begins. @throws validation_failed for a cursor from elsewhere. */
export function readCursor(cursor: string | undefined): string {
  if (cursor === undefined || cursor === '') return '';
  let text = '';
  try {
    text = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'));
  } catch {
    // The check below refuses the empty text.
  }
  const id = /^v1:([A-Za-z0-9._:-]{1,128})$/.exec(text)?.[1];
  if (id === undefined)
    throw new AppError('validation_failed', 'The input is not valid.', {
      errors: [{ path: '/cursor', message: 'must be a cursor from an earlier list response' }],
    });
  return id;
}
