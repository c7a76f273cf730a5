import type { Route } from '../openapi/types.ts';
import { ANALYTICS_ROUTES } from './analytics.ts';
import { ASSET_ROUTES } from './assets.ts';
import { AUDIT_ROUTES } from './audit.ts';
import { CHANGE_ROUTES } from './changes.ts';
import { CHAT_ROUTES } from './chat.ts';
import { EVENT_ROUTES } from './events.ts';
import { JOB_ROUTES } from './jobs.ts';
import { KEY_ROUTES } from './keys.ts';
import { OBJECT_ROUTES } from './objects.ts';
import { OPERATIONS_ROUTES } from './operations.ts';
import { PEOPLE_ROUTES } from './people.ts';
import { RUNNING_ROUTES } from './running.ts';
import { SPACE_ROUTES } from './spaces.ts';
import { STATE_ROUTES } from './state.ts';
import { DEAD_LETTER_ROUTES, UPDATE_ROUTES } from './updates.ts';

/** Every route. The router, the rights and the described API are made from this list. */
export const ROUTES: readonly Route[] = [
  ...SPACE_ROUTES,
  ...STATE_ROUTES,
  ...OBJECT_ROUTES,
  ...UPDATE_ROUTES,
  ...CHAT_ROUTES,
  ...CHANGE_ROUTES,
  ...DEAD_LETTER_ROUTES,
  ...ASSET_ROUTES,
  ...PEOPLE_ROUTES,
  ...ANALYTICS_ROUTES,
  ...EVENT_ROUTES,
  ...AUDIT_ROUTES,
  ...KEY_ROUTES,
  ...OPERATIONS_ROUTES,
  ...RUNNING_ROUTES,
  ...JOB_ROUTES,
];
