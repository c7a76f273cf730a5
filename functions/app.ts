import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { AppError } from '../src/world/errors.ts';
import { getDocs, getOpenApi } from './api/docs.ts';
import { createGetHealth, getLivez, getReadyz } from './api/health.ts';
import { deleteKey, listKeys, postKey } from './api/keys.ts';
import { deleteObject, getObject, listObjects, patchObject, putObject } from './api/objects.ts';
import { deleteSpace, getSpace, getStatistics, listSpaces, putSpace } from './api/spaces.ts';
import { getState, putState } from './api/state.ts';
import { allow } from './http/auth.ts';
import type { AppEnv, Services } from './http/context.ts';
import { answerProblem, HttpError } from './http/problem.ts';
import { nameRequests } from './http/request-id.ts';

const PREFLIGHT_SECONDS = 3_600;

/** Every route, and what holds for all of them. */
export function createApp(services: Services): Hono<AppEnv> {
  const app = createFrame();
  const { corsAllowedOrigins } = services.config;
  if (corsAllowedOrigins.length > 0)
    app.use(
      cors({
        origin: corsAllowedOrigins === '*' ? '*' : [...corsAllowedOrigins],
        allowHeaders: [
          'Authorization',
          'Content-Type',
          'If-Match',
          'If-None-Match',
          'Prefer',
          'X-Request-Id',
        ],
        exposeHeaders: ['ETag', 'Location', 'Retry-After', 'X-Request-Id'],
        maxAge: PREFLIGHT_SECONDS,
      }),
    );
  app.use(
    methodNotAllowed<AppEnv>({
      app,
      onMethodNotAllowed: (c, methods) =>
        answerProblem(
          new HttpError('method_not_allowed', `Served here: ${methods.join(', ')}.`, {
            Allow: methods.join(', '),
          }),
          c,
        ),
    }),
  );
  app.use(async function serve(c, next) {
    c.set('services', services);
    await next();
  });

  app.get('/livez', getLivez);
  app.get('/readyz', getReadyz);
  app.get('/health', createGetHealth());
  app.get('/openapi.json', getOpenApi);
  app.get('/docs', getDocs);

  app.get('/v1/spaces', allow('read'), listSpaces);
  app.get('/v1/spaces/:space', allow('read'), getSpace);
  app.put('/v1/spaces/:space', allow('write'), putSpace);
  app.delete('/v1/spaces/:space', allow('write'), deleteSpace);
  app.get('/v1/spaces/:space/state', allow('read'), getState);
  app.put('/v1/spaces/:space/state', allow('write'), putState);
  app.get('/v1/spaces/:space/statistics', allow('read'), getStatistics);
  app.get('/v1/spaces/:space/objects', allow('read'), listObjects);
  app.get('/v1/spaces/:space/objects/:id', allow('read'), getObject);
  app.put('/v1/spaces/:space/objects/:id', allow('write'), putObject);
  app.patch('/v1/spaces/:space/objects/:id', allow('write'), patchObject);
  app.delete('/v1/spaces/:space/objects/:id', allow('write'), deleteObject);

  app.get('/v1/keys', allow('admin'), listKeys);
  app.post('/v1/keys', allow('admin'), postKey);
  app.delete('/v1/keys/:id', allow('admin'), deleteKey);
  return app;
}

/** What stands in for the routes where the configuration cannot be served: every answer says why. */
export function createRefusingApp(refusal: AppError): Hono<AppEnv> {
  const app = createFrame();
  // Said once in the log, when it was found; not again for every request.
  app.onError((error, c) => answerProblem(error, c, () => undefined));
  app.all('*', () => {
    throw refusal;
  });
  return app;
}

function createFrame(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.onError((error, c) => answerProblem(error, c));
  app.notFound((c) => answerProblem(new AppError('not_found', 'There is no such route.'), c));
  app.use(nameRequests());
  app.use(async function harden(c, next) {
    await next();
    c.header('X-Content-Type-Options', 'nosniff');
    if (!c.res.headers.has('Cache-Control')) c.header('Cache-Control', 'no-store');
  });
  return app;
}
