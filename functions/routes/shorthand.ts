import * as z from 'zod';
import { pageLimitSchema } from '../../src/world/schemas.ts';
import type { JsonValue } from '../../src/world/types.ts';
import type { ComponentName } from '../openapi/components.ts';
import type { HeaderName } from '../openapi/headers.ts';
import type { AnswerDoc, ContentDoc, QueryDoc } from '../openapi/types.ts';

/** JSON by a component's schema, with one example. */
export function json(schema: ComponentName, example: JsonValue): Readonly<Record<string, ContentDoc>> {
  return { 'application/json': { schema, examples: { example } } };
}

/** An answer in JSON. */
export function answer(
  description: string,
  schema: ComponentName,
  example: JsonValue,
  headers: readonly HeaderName[] = [],
): AnswerDoc {
  return { description, headers, content: json(schema, example) };
}

/** Of a write, to a key without `read`. */
export function unshown(headers: readonly HeaderName[] = []): AnswerDoc {
  return { description: 'The write succeeded. The key lacks `read`, so there is no body.', headers };
}

export const GONE: AnswerDoc = { description: 'It is deleted.' };

/** The query of a list. */
export const PAGE_QUERY: Readonly<Record<string, QueryDoc>> = {
  limit: { schema: pageLimitSchema, description: 'The largest number of items. Default 100.', example: 50 },
  cursor: { schema: z.string(), description: 'The `nextCursor` of the previous page.' },
};
