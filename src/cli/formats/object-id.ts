import { createHash } from 'node:crypto';
import { LIMITS } from '../../world/limits.ts';

/** Characters of an id kept free behind a prefix: for `:`, the node's index, `-`, a stamp, and a count. */
const SUFFIX_LENGTH_MAX = 30;
const HASH_LENGTH = 8;
const STAMP_LENGTH = 12;

/**
 * A file's name as the beginning of object ids: the same name gives the same ids each time, and two names different ones.
 * Characters that no id may have become `_`; then, as where the name is too long, eight digits of its SHA-256 follow.
 */
export function toIdPrefix(stem: string): string {
  const safe = stem.replaceAll(/[^A-Za-z0-9._-]/gu, '_');
  const lengthMax = LIMITS.idLengthMax - SUFFIX_LENGTH_MAX;
  if (safe === stem && safe.length <= lengthMax && safe !== '') return safe;
  return `${safe.slice(0, lengthMax - HASH_LENGTH - 1)}-${hash(stem).slice(0, HASH_LENGTH)}`;
}

/** The same text gives the same stamp: 12 hex digits. */
export function stampOf(text: string): string {
  return hash(text).slice(0, STAMP_LENGTH);
}

/**
 * @param kept the id that each node already has, or null.
 * @param stamp part of every id made here, or null where the file's name and the node's index alone are new.
 * @returns an id for each node; no two are the same where no two kept ids are.
 */
export function assignIds(kept: readonly (string | null)[], prefix: string, stamp: string | null): string[] {
  const taken = new Set(kept);
  return kept.map((own, index) => {
    if (own !== null) return own;
    const first = `${prefix}:${index}${stamp === null ? '' : `-${stamp}`}`;
    let id = first;
    for (let count = 2; taken.has(id); count++) id = `${first}.${count}`;
    taken.add(id);
    return id;
  });
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
