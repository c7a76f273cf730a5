import { getDocs, getOpenApi } from '../api/docs.ts';
import { getHealth, getLivez, getReadyz } from '../api/health.ts';
import { getHome } from '../api/home.ts';
import { HEALTH } from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { answer } from './shorthand.ts';

export const RUNNING_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/',
    operationId: 'getHome',
    tag: 'Running',
    access: 'open',
    handler: getHome,
    summary: 'What this server is, with links to the documentation and to its health',
    answers: {
      200: {
        description: 'JSON, or a page for a browser.',
        content: {
          'application/json': { schema: { type: 'object' }, examples: {} },
          'text/html': { schema: { type: 'string' }, examples: {} },
        },
      },
    },
  },
  {
    method: 'get',
    path: '/livez',
    operationId: 'getLivez',
    tag: 'Running',
    access: 'open',
    handler: getLivez,
    summary: 'Whether it runs; asks nobody',
    answers: { 200: answer('It runs.', 'Live', { status: 'ok' }) },
  },
  {
    method: 'get',
    path: '/readyz',
    operationId: 'getReadyz',
    tag: 'Running',
    access: 'open',
    handler: getReadyz,
    summary: 'Whether both stores answer',
    answers: {
      200: answer('They do.', 'Ready', { status: 'ready', persistence: { database: true, cache: true } }),
    },
    problems: ['store_unavailable'],
  },
  {
    method: 'get',
    path: '/health',
    operationId: 'getHealth',
    tag: 'Running',
    access: 'optional',
    handler: getHealth,
    summary: 'What is well, and what is held',
    description:
      "Counts are of the caller's tenant; without a key, of the default tenant. With a key, it needs `read`.",
    answers: {
      200: answer('Worlds are served; `degraded`: without the cache.', 'Health', HEALTH),
      503: answer(
        'Worlds are not served.',
        'Health',
        {
          ...HEALTH,
          status: 'down',
          persistence: { database: false, cache: true },
          worldState: { users: null, objects: null, models: null },
        },
        ['Retry-After'],
      ),
    },
  },
  {
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    tag: 'Running',
    access: 'open',
    handler: getOpenApi,
    summary: 'This document',
    answers: {
      200: {
        description: 'OpenAPI 3.1.',
        content: { 'application/json': { schema: { type: 'object' }, examples: {} } },
      },
    },
  },
  {
    method: 'get',
    path: '/docs',
    operationId: 'getDocs',
    tag: 'Running',
    access: 'open',
    handler: getDocs,
    summary: 'This document as a page',
    answers: {
      200: {
        description: 'A page that loads nothing from anywhere else.',
        content: { 'text/html': { schema: { type: 'string' }, examples: {} } },
      },
    },
  },
];
