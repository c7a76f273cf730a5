import { createHash } from 'node:crypto';
import { LIMITS } from '../../world/limits.ts';

/** Characters kept free behind a prefix, for `:` and the node's index. */
const INDEX_LENGTH_MAX = 12;
const HASH_LENGTH = 8;

/**
 * A file's name as the beginning of object ids: the same file gives the same ids each time, and two files different ones.
 * Characters that no id may have become `_`; then, as where the name is too long, eight digits of its SHA-256 follow.
 */
export function toIdPrefix(stem: string): string {
  const safe = stem.replaceAll(/[^A-Za-z0-9._-]/gu, '_');
  const lengthMax = LIMITS.idLengthMax - INDEX_LENGTH_MAX;
  if (safe === stem && safe.length <= lengthMax && safe !== '') return safe;
  const hash = createHash('sha256').update(stem).digest('hex').slice(0, HASH_LENGTH);
  return `${safe.slice(0, lengthMax - HASH_LENGTH - 1)}-${hash}`;
}
