import { expect } from 'vitest';
import type { FieldError } from '../../src/world/errors.ts';
import { makeTenant, type TestTenant } from '../tenants.ts';
import { findUndescribed } from './described.ts';
import type { Target } from './targets.ts';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // Any JSON: each test checks the parts that it expects.
  body: ReturnType<typeof JSON.parse>;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: string;
  requestId: string;
  errors: FieldError[];
}

export interface CallOptions {
  /** Sent as JSON; `text` is sent as it is. */
  json?: unknown;
  text?: NonNullable<RequestInit['body']>;
  headers?: Record<string, string>;
}

export type Call = (method: string, path: string, options?: CallOptions) => Promise<Answer>;

/** Calls with a key, and with the usual content type of the method. Every answer must match the API description. */
export function createCall(target: Target, apiKey: string | null): Call {
  return async (method, path, { json, text, headers = {} } = {}) => {
    const body = json === undefined ? text : JSON.stringify(json);
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const sentHeaders = new Headers({
      ...(apiKey !== null && { Authorization: `Bearer ${apiKey}` }),
      ...(body !== undefined && { 'Content-Type': type }),
      ...headers,
    });
    const response = await target.fetch(path, {
      method,
      headers: Object.fromEntries(sentHeaders),
      ...(body !== undefined && { body }),
    });
    const answer = await readAnswer(response);
    const sent = json === undefined ? parseOrUndefined(text) : JSON.parse(JSON.stringify(json));
    const sentType = sentHeaders.get('Content-Type')?.split(';')[0]?.trim().toLowerCase() ?? '';
    const undescribed = findUndescribed({ method, path, sent, sentType, ...answer });
    if (undescribed !== null) throw new Error(`${method} ${path}: ${undescribed}`);
    return answer;
  };
}

function parseOrUndefined(text: CallOptions['text']): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

async function readAnswer(response: Response): Promise<Answer> {
  const text = response.headers.get('Content-Type')?.startsWith('text/event-stream')
    ? await readBeginning(response)
    : await response.text();
  const isJson = /^application\/(problem\+)?json/.test(response.headers.get('Content-Type') ?? '');
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : null,
  };
}

/** Reads the first piece of an endless answer. */
async function readBeginning({ body }: Response): Promise<string> {
  const reader = body?.getReader();
  const piece = await reader?.read();
  await reader?.cancel();
  return new TextDecoder().decode(piece?.value);
}

export interface Door extends TestTenant {
  /** Calls with a key that has every scope. */
  call: Call;
}

/** Makes a new tenant, with a key for it. */
export async function openDoor(target: Target): Promise<Door> {
  const tenant = await makeTenant();
  return { ...tenant, call: createCall(target, await tenant.apiKey(['read', 'write', 'admin'])) };
}

/** Makes a new tenant with a space. */
export async function openSpace(target: Target, spaceId = 'here'): Promise<Door & { at: string }> {
  const door = await openDoor(target);
  const { status } = await door.call('PUT', `/v1/spaces/${spaceId}`, { json: { name: 'Here' } });
  if (status !== 201) throw new Error(`the space was not created: ${status}`);
  return { ...door, at: `/v1/spaces/${spaceId}` };
}

/** Waits after a fault: a cut connection is opened again a moment later, and until then requests are 503. */
export async function waitUntilReady(target: Target): Promise<void> {
  await expect.poll(async () => (await target.fetch('/readyz')).status).toBe(200);
}
