import { getDocs, getOpenApi } from '../api/docs.ts';
import { getHealth, getLivez, getReadyz } from '../api/health.ts';
import { getHome, getOps } from '../api/home.ts';
import { getMetrics } from '../api/metrics.ts';
import { AT, HEALTH } from '../openapi/examples.ts';
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
    summary: 'The server’s name, with links to its documentation and health',
    description:
      'A request whose Accept has text/html gets a page instead. It shows worlds; on a server without its files it lists links.',
    headers: ['If-None-Match'],
    answers: {
      200: {
        description: 'JSON, or a page for a browser. The page has a tag.',
        headers: ['ETag'],
        content: {
          'application/json': { schema: { type: 'object' }, examples: {} },
          'text/html': { schema: { type: 'string' }, examples: {} },
        },
      },
      304: { description: 'The caller already has this page.', headers: ['ETag'] },
    },
  },
  {
    method: 'get',
    path: '/ops',
    operationId: 'getOps',
    tag: 'Running',
    access: 'open',
    handler: getOps,
    summary: 'The operations page',
    description: 'A page that asks for an admin key. On a server without its files it is 404.',
    headers: ['If-None-Match'],
    answers: {
      200: {
        description: 'The page.',
        headers: ['ETag'],
        content: { 'text/html': { schema: { type: 'string' }, examples: {} } },
      },
      304: { description: 'The caller already has this page.', headers: ['ETag'] },
    },
    problems: ['not_found'],
  },
  {
    method: 'get',
    path: '/livez',
    operationId: 'getLivez',
    tag: 'Running',
    access: 'open',
    handler: getLivez,
    summary: 'Whether the process runs; no store is asked',
    answers: { 200: answer('The process runs.', 'Live', { status: 'ok' }) },
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
      200: answer('Both stores answer.', 'Ready', {
        status: 'ready',
        persistence: { database: true, cache: true },
      }),
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
    summary: 'Health, and counts of stored data',
    description:
      "Counts are of the caller's tenant; without a key, of the default tenant. With a key, it needs `read`.",
    answers: {
      200: answer('Worlds are served. `degraded`: without the cache.', 'Health', HEALTH),
      503: answer(
        'Worlds are not served.',
        'Health',
        {
          ...HEALTH,
          status: 'down',
          persistence: { database: false, cache: true },
          awaySince: { database: AT, cache: null },
          worldState: { users: null, objects: null, models: null },
        },
        ['Retry-After'],
      ),
    },
  },
  {
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    tag: 'Running',
    access: 'metrics',
    handler: getMetrics,
    summary: 'Counts and gauges of the whole deployment, for Prometheus',
    description:
      'Processes add their counts every 10 seconds. A store that does not answer leaves its part out. Without a METRICS_TOKEN there is no such route.',
    answers: {
      200: {
        description: 'The text format of Prometheus.',
        content: { 'text/plain': { schema: { type: 'string' }, examples: {} } },
      },
    },
    problems: ['not_found'],
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
        description: 'A page that loads nothing from other hosts.',
        content: { 'text/html': { schema: { type: 'string' }, examples: {} } },
      },
    },
  },
];
