import type * as z from 'zod';
import type { JsonValue } from '../../src/world/types.ts';
import type { AppContext } from '../http/context.ts';
import type { ProblemCode } from '../http/problem.ts';
import type { Rule } from '../http/request-types.ts';
import type { ComponentName } from './components.ts';
import type { HeaderName } from './headers.ts';

import type { JsonSchema } from './json-schema.ts';
export type Method = 'get' | 'put' | 'post' | 'patch' | 'delete';
export type Tag =
  | 'Spaces'
  | 'State'
  | 'Objects'
  | 'Updates'
  | 'Chat'
  | 'Models'
  | 'Media'
  | 'People'
  | 'Analytics'
  | 'Events'
  | 'Audit'
  | 'Keys'
  | 'Operations'
  | 'Running';

/**
 * One route: its path, its rights, and its description in the API. The common parts of every route (request ids, 401, 503 …) are added
 * to the description.
 */
export interface Route {
  method: Method;
  /** As OpenAPI writes it: `/v1/spaces/{space}`. */
  path: string;
  operationId: string;
  tag: Tag;
  /**
   * The rights. `open`: everybody. `optional`: without a credential, or with one that has `read`. `signed`: QStash, by its signature.
   * `metrics`: the METRICS_TOKEN.
   */
  access: Rule | 'open' | 'optional' | 'signed' | 'metrics';
  handler: (c: AppContext) => Response | Promise<Response>;
  /**
   * How its requests are counted, if not before the handler. `beside`: in parallel to the handler. `append`: by the append itself, in the
   * same Redis command (in memory without a Redis).
   */
  counted?: 'beside' | 'append';
  /** Its answer may take longer than that of other routes: its work depends on the size of a file or a world. */
  takesLong?: boolean;
  /** It takes the credential from `access_token` too. */
  fromQuery?: boolean;
  summary: string;
  description?: string;
  query?: Readonly<Record<string, QueryDoc>>;
  /** Request headers that mean something here. */
  headers?: readonly HeaderName[];
  /** By media type. */
  body?: Readonly<Record<string, ContentDoc>>;
  /** By status. */
  answers: Readonly<Record<number, AnswerDoc>>;
  /** Problems in addition to the common ones. */
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
