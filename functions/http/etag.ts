import type { Precondition } from '../../src/persistence-layer.ts';
import { AppError } from '../../src/world/errors.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { Seq } from '../../src/world/types.ts';
import type { AppContext } from './context.ts';

/** One entity tag (RFC 9110, 8.8.3), with the separator before the next. */
const TAG = /^[ \t]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)/;
const OBJECT_TAG = /^[1-9]\d{0,15}$/;

type ConditionHeader = 'If-Match' | 'If-None-Match';
type Tags = '*' | { weak: boolean; value: string }[];

export function writeObjectEtag(seq: Seq): string {
  return `"${seq}"`;
}

export function writeStateEtag({ seq, rev }: { seq: Seq; rev: number }): string {
  return `"${seq}.${rev}"`;
}

/**
 * Reads If-Match and If-None-Match of a write to one object. A weak tag never matches. Neither does a tag that no object here ever had:
 * the write then fails with 412. If-None-Match accepts only `*`.
 * @throws validation_failed for a header that is not a list of entity tags, or two that exclude each other.
 */
export function readPrecondition(c: AppContext): Precondition {
  const match = readTags(c, 'If-Match');
  const noneMatch = readTags(c, 'If-None-Match');
  if (noneMatch !== null && noneMatch !== '*') throw refuseHeader('If-None-Match', 'must be * on a write');
  if (match !== null && match.length > LIMITS.conditionSeqsMax)
    throw refuseHeader(
      'If-Match',
      `must contain at most ${LIMITS.conditionSeqsMax} tags; it contains ${match.length}`,
    );
  if (match === '*' && noneMatch === '*')
    throw refuseHeader('If-None-Match', 'must not be * when If-Match is also *');
  return {
    ...(match === '*' && { ifExists: true }),
    ...(noneMatch === '*' && { ifExists: false }),
    ...(match !== null &&
      match !== '*' && {
        ifSeq: match
          .filter(({ weak, value }) => !weak && OBJECT_TAG.test(value))
          .map(({ value }) => Number(value))
          .filter(Number.isSafeInteger),
      }),
  };
}

/** The one state that a caller has, if that is all that its conditions say: then it is compared where the state is read. */
export function readStateTag(c: AppContext): { seq: Seq; rev: number } | null {
  if (c.req.header('If-Match') !== undefined) return null;
  const tags = readTags(c, 'If-None-Match');
  if (tags === null || tags === '*' || tags.length !== 1) return null;
  const [, seq, rev] = /^(\d{1,16})\.(\d{1,15})$/.exec(tags[0]?.value ?? '') ?? [];
  return seq === undefined || rev === undefined ? null : { seq: Number(seq), rev: Number(rev) };
}

/** Refuses conditions where none are served: a condition that is passed over is a change lost. */
export function refuseConditions(c: AppContext): void {
  for (const name of ['If-Match', 'If-None-Match'] as const)
    if (c.req.header(name) !== undefined)
      throw refuseHeader(name, 'is a header that this route does not support');
}

/** Whether a read asks for a comparison with what the caller has. */
export function isConditional(c: AppContext): boolean {
  return c.req.header('If-None-Match') !== undefined || c.req.header('If-Match') !== undefined;
}

/**
 * Compares a read's conditions with the current tag.
 * @returns whether the caller has it already (304). @throws precondition_failed when If-Match names another.
 */
export function isFresh(c: AppContext, etag: string): boolean {
  const has = (tags: Tags, weakly: boolean) =>
    tags === '*' || tags.some(({ weak, value }) => (weakly || !weak) && `"${value}"` === etag);
  const match = readTags(c, 'If-Match');
  if (match !== null && !has(match, false))
    throw new AppError('precondition_failed', 'The current version does not match the If-Match header.');
  const noneMatch = readTags(c, 'If-None-Match');
  return noneMatch !== null && has(noneMatch, true);
}

function readTags(c: AppContext, name: ConditionHeader): Tags | null {
  const header = c.req.header(name)?.trim();
  if (header === undefined) return null;
  if (header === '*') return '*';
  const tags: Exclude<Tags, '*'> = [];
  for (let rest = header; rest !== '' || tags.length === 0; ) {
    const tag = TAG.exec(rest);
    if (tag === null)
      throw refuseHeader(name, 'must be * or a list of entity tags such as "123", separated by commas');
    tags.push({ weak: tag[1] !== undefined, value: tag[2] ?? '' });
    rest = rest.slice(tag[0].length);
  }
  return tags;
}

function refuseHeader(name: ConditionHeader, message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', {
    errors: [{ path: `/${name}`, message: `${name} ${message}` }],
  });
}
