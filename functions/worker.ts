import type { ExecutionContext, Hono } from 'hono';
import { AppError } from '../src/world/errors.ts';
import { createApp, createRefusingApp } from './app.ts';
import { ASSETS_BINDING, composeWorker } from './compose-worker.ts';
import type { AppEnv } from './http/context.ts';
import { createLog } from './http/log.ts';

type Bindings = Record<string, unknown>;

/** One app per environment: an isolate reads its configuration once. No client in it holds a connection. */
const apps = new WeakMap<Bindings, Hono<AppEnv>>();

export default {
  fetch(request: Request, env: Bindings, context?: ExecutionContext): Response | Promise<Response> {
    let app = apps.get(env);
    if (app === undefined) {
      app = openApp(env);
      apps.set(env, app);
    }
    return app.fetch(request, env, context);
  },
};

function openApp(env: Bindings): Hono<AppEnv> {
  const texts = Object.entries(env).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  try {
    return createApp(composeWorker(Object.fromEntries(texts), env[ASSETS_BINDING]));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    createLog({ level: 'error', now: () => Date.now() })('error', 'misconfigured', {
      message: error.message,
    });
    return createRefusingApp(error);
  }
}
