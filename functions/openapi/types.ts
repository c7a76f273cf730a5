import type * as z from 'zod';
import type { JsonValue, Scope } from '../../src/world/types.ts';
import type { ProblemCode } from '../http/problem.ts';
import type { ComponentName } from './components.ts';
import type { HeaderName } from './headers.ts';

export type JsonSchema = { [keyword: string]: JsonValue };
export type Method = 'get' | 'put' | 'post' | 'patch' | 'delete';
export type Tag = 'Spaces' | 'State' | 'Objects' | 'Updates' | 'People' | 'Keys' | 'Running';

/** One route as the described API shows it. What every route has (request ids, 401, 503 …) is added to it. */
export interface RouteDoc {
  method: Method;
  /** As OpenAPI writes it: `/v1/spaces/{space}`. */
  path: string;
  operationId: string;
  tag: Tag;
  summary: string;
  description?: string;
  /**
   * The scope that is needed. `open` heeds no credential; `optional` needs none, and one that is given must have `read`;
   * `signed` is for QStash, by its signature.
   */
  scope: Scope | 'open' | 'optional' | 'signed';
  query?: Readonly<Record<string, QueryDoc>>;
  /** Request headers that mean something here. */
  headers?: readonly HeaderName[];
  /** By media type. */
  body?: Readonly<Record<string, ContentDoc>>;
  /** By status. */
  answers: Readonly<Record<number, AnswerDoc>>;
  /** Beside those that follow from the rest. */
  problems?: readonly ProblemCode[];
}

export interface QueryDoc {
  schema: z.ZodType;
  description: string;
  example?: JsonValue;
}

export interface ContentDoc {
  /** A component, or one of several. */
  schema: ComponentName | readonly ComponentName[] | JsonSchema;
  examples: Readonly<Record<string, JsonValue>>;
}

export interface AnswerDoc {
  description: string;
  headers?: readonly HeaderName[];
  content?: Readonly<Record<string, ContentDoc>>;
}
