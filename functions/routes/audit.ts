import * as z from 'zod';
import { AUDIT_TABLES } from '../../src/audit/audit-stores.ts';
import { LIMITS } from '../../src/world/limits.ts';
import { idSchema } from '../../src/world/schemas.ts';
import { listAudit } from '../api/audit.ts';
import { AUDIT_ENTRY } from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { json, PAGE_QUERY } from './shorthand.ts';

export const AUDIT_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/audit',
    operationId: 'listAudit',
    tag: 'Audit',
    access: ['admin'],
    handler: listAudit,
    summary: 'The changes of rows with their actors, newest first',
    description: `An update has the columns that changed, in \`old\` and \`new\`. A page has at most ${LIMITS.auditPageRowsMax} entries. NDJSON has every entry, without \`limit\` and \`cursor\`, and ends with the line \`end\`.`,
    query: {
      space: { schema: idSchema, description: 'Only changes in this space.' },
      actor: {
        schema: z.string(),
        description:
          'Only changes by this person or key, or by a role of the database: `role/` and its name.',
      },
      table: { schema: z.enum(AUDIT_TABLES), description: 'Only rows of this table.' },
      object: {
        schema: idSchema,
        description: 'Only rows with this id: of an object, a message, a key, a person and so on.',
      },
      from: {
        schema: z.string(),
        description: 'A time or a day: only changes from then on.',
        example: '2026-11-28',
      },
      to: {
        schema: z.string(),
        description: 'A time: only changes before it. A day: only changes until its end, in UTC.',
        example: '2026-11-28T12:00:00Z',
      },
      ...PAGE_QUERY,
    },
    answers: {
      200: {
        description: 'A page of entries. With `Accept: application/x-ndjson` each line is an AuditLine.',
        content: {
          ...json('AuditPage', { items: [AUDIT_ENTRY], nextCursor: null }),
          'application/x-ndjson': {
            schema: 'AuditLine',
            examples: { entry: { kind: 'entry', ...AUDIT_ENTRY }, end: { kind: 'end', entries: 1 } },
          },
        },
      },
    },
  },
];
