import type { Hono } from 'hono';
import { AppError } from '../src/world/errors.ts';
import { createApp, createRefusingApp } from './app.ts';
import { ASSETS_BINDING, composeWorker, FILES_BINDING } from './compose-worker.ts';
import type { AppEnv } from './http/context.ts';
import { createLog } from './http/log.ts';

/** Variables, secrets and buckets. An interface such as the `Env` of a Worker has no index signature. */
type Bindings = object;
/** The third argument of a Worker's `fetch`: it keeps work going after the answer. */
type Context = { waitUntil(work: Promise<unknown>): void };

/** One app per environment: an isolate reads its configuration once. No client in it holds a connection. */
const apps = new WeakMap<Bindings, Hono<AppEnv>>();

/** The HTTP API as a Worker, or as a part of one. Its bindings are its configuration: see `.env.example`. */
export default {
  fetch(request: Request, env: Bindings, context?: Context): Response | Promise<Response> {
    let app = apps.get(env);
    if (app === undefined) {
      app = openApp(env);
      apps.set(env, app);
    }
    return app.fetch(request, env, context as Parameters<typeof app.fetch>[2]);
  },
};

function openApp(env: Bindings): Hono<AppEnv> {
  const texts = Object.entries(env).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  try {
    const [bucket, files] = [ASSETS_BINDING, FILES_BINDING].map((name) => Reflect.get(env, name));
    return createApp(composeWorker(Object.fromEntries(texts), bucket, files));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    createLog({ level: 'error', now: () => Date.now() })('error', 'misconfigured', {
      message: error.message,
    });
    return createRefusingApp(error);
  }
}
