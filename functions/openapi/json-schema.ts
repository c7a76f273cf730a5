import type { JsonValue } from '../../src/world/types.ts';

/** A JSON Schema, as OpenAPI 3.1 has it. */
export type JsonSchema = { [keyword: string]: JsonValue };
