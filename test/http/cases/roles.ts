import { beforeAll, describe, expect, it } from 'vitest';
import { ROUTES } from '../../../functions/routes/index.ts';
import { type Call, createCall, type Door, openDoor } from '../client.ts';
import type { Target } from '../targets.ts';
import { makeDeadLetter } from './dead-letters.ts';
import { openSession } from './people.ts';

/**
 * A copy of the role table, so that a change of rights must be made in two places. Each key has only one scope. A
 * session asks for its own space, person or session.
 */
const EXPECTED = `

route                                      read write admin  viewer editor owner
GET /health                                yes  no    no     no     no     no
GET /v1/spaces                             yes  no    no     no     no     no
GET /v1/spaces/:space                      yes  no    no     yes    yes    yes
PUT /v1/spaces/:space                      no   yes   no     no     no     yes
DELETE /v1/spaces/:space                   no   yes   no     no     no     no
GET /v1/spaces/:space/state                yes  no    no     yes    yes    yes
PUT /v1/spaces/:space/state                no   yes   no     no     no     yes
GET /v1/spaces/:space/statistics           yes  no    no     yes    yes    yes
GET /v1/spaces/:space/objects              yes  no    no     yes    yes    yes
GET /v1/spaces/:space/objects/:id          yes  no    no     yes    yes    yes
PUT /v1/spaces/:space/objects/:id          no   yes   no     no     yes    yes
PATCH /v1/spaces/:space/objects/:id        no   yes   no     no     yes    yes
DELETE /v1/spaces/:space/objects/:id       no   yes   no     no     yes    yes
POST /v1/spaces/:space/updates             no   yes   no     no     yes    yes
GET /v1/spaces/:space/chat                 yes  no    no     yes    yes    yes
POST /v1/spaces/:space/chat                no   yes   no     yes    yes    yes
DELETE /v1/spaces/:space/chat/:id          no   yes   no     yes    yes    yes
GET /v1/spaces/:space/changes              yes  no    no     yes    yes    yes
GET /v1/spaces/:space/stream               yes  no    no     yes    yes    yes
GET /v1/dead-letters                       no   no    yes    no     no     no
POST /v1/dead-letters/:id/replay           no   no    yes    no     no     no
DELETE /v1/dead-letters/:id                no   no    yes    no     no     no
GET /v1/spaces/:space/presence             yes  no    no     yes    yes    yes
POST /v1/models                            no   yes   no     no     yes    yes
GET /v1/models                             yes  no    no     no     no     no
GET /v1/models/:id                         yes  no    no     yes    yes    yes
DELETE /v1/models/:id                      no   yes   no     no     no     no
GET /v1/models/:id/file                    yes  no    no     yes    yes    yes
POST /v1/models/uploads                    no   yes   no     no     yes    yes
GET /v1/models/uploads/:id                 no   yes   no     no     yes    yes
PUT /v1/models/uploads/:id/parts/:part     no   yes   no     no     yes    yes
POST /v1/models/uploads/:id/complete       no   yes   no     no     yes    yes
DELETE /v1/models/uploads/:id              no   yes   no     no     yes    yes
POST /v1/media                            no   yes   no     no     yes    yes
GET /v1/media                             yes  no    no     no     no     no
GET /v1/media/:id                         yes  no    no     yes    yes    yes
DELETE /v1/media/:id                      no   yes   no     no     no     no
GET /v1/media/:id/file                    yes  no    no     yes    yes    yes
POST /v1/media/uploads                    no   yes   no     no     yes    yes
GET /v1/media/uploads/:id                 no   yes   no     no     yes    yes
PUT /v1/media/uploads/:id/parts/:part     no   yes   no     no     yes    yes
POST /v1/media/uploads/:id/complete       no   yes   no     no     yes    yes
DELETE /v1/media/uploads/:id              no   yes   no     no     yes    yes
POST /v1/events                            no   yes   no     yes    yes    yes
GET /v1/analytics/activity                 yes  no    no     no     no     no
GET /v1/analytics/spaces                   yes  no    no     no     no     no
GET /v1/analytics/models                   yes  no    no     no     no     no
GET /v1/analytics/retention                yes  no    no     no     no     no
GET /v1/audit                              no   no    yes    no     no     no
GET /v1/users                              no   no    yes    no     no     no
GET /v1/users/:id                          yes  no    no     yes    yes    yes
PUT /v1/users/:id                          no   yes   no     yes    yes    yes
DELETE /v1/users/:id                       no   yes   no     no     no     no
GET /v1/users/:id/export                   no   no    yes    no     no     no
POST /v1/sessions                          no   yes   no     no     no     no
POST /v1/sessions/:id/heartbeat            no   yes   no     yes    yes    yes
DELETE /v1/sessions/:id                    no   yes   no     yes    yes    yes
GET /v1/operations                         no   no    yes    no     no     no
GET /v1/incidents                          no   no    yes    no     no     no
GET /v1/job-runs                           no   no    yes    no     no     no
GET /v1/keys                               no   no    yes    no     no     no
POST /v1/keys                              no   no    yes    no     no     no
DELETE /v1/keys/:id                        no   no    yes    no     no     no
`;

const KEYS = ['read', 'write', 'admin'] as const;
const SESSIONS = ['viewer', 'editor', 'owner'] as const;
const PRINCIPALS = [...KEYS, ...SESSIONS];
type PrincipalName = (typeof PRINCIPALS)[number];

const ROWS = EXPECTED.trim()
  .split('\n')
  .slice(1)
  .map((line) => {
    const cells = line.trim().split(/ +/);
    const answers = cells.slice(2);
    return {
      route: `${cells[0]} ${cells[1]}`,
      allowed: PRINCIPALS.filter((_, i) => answers[i] === 'yes'),
      denied: PRINCIPALS.filter((_, i) => answers[i] === 'no'),
    };
  });
const CELLS = ROWS.reduce((sum, { allowed, denied }) => sum + allowed.length + denied.length, 0);
/** Routes that a session may use on its own things. No session may use them on other things. */
/** The routes of libraries name no such thing. Other tests show what a session finds there. */
const isLibrary = (route: string) => /\/v1\/(models|media)\b/.test(route);
/** Its body names the things: test/http/cases/events.ts. */
const isOfEvents = (route: string) => route === 'POST /v1/events';
const OWN_ROWS = ROWS.filter(
  ({ route, allowed }) => allowed.includes('owner') && !isLibrary(route) && !isOfEvents(route),
);

const BODIES: Readonly<Record<string, object>> = {
  'PUT /v1/spaces/:space': { name: 'Here' },
  'PUT /v1/spaces/:space/state': { objects: [{ id: 'o' }] },
  'PUT /v1/spaces/:space/objects/:id': { name: 'put' },
  'PATCH /v1/spaces/:space/objects/:id': { name: 'patched' },
  'POST /v1/spaces/:space/updates': { ops: [{ op: 'patch', id: 'o', name: 'moved' }] },
  'POST /v1/spaces/:space/chat': { text: 'hello' },
  'PUT /v1/users/:id': { displayName: 'Ann' },
  'POST /v1/events': { events: [{ type: 'tried' }] },
  'POST /v1/sessions': { userId: 'ann', spaceId: 'here' },
  'POST /v1/keys': { scopes: ['read'] },
  ...Object.fromEntries(
    ['models', 'media'].flatMap((kind) => [
      [`POST /v1/${kind}`, { name: 'a', url: 'https://files.example/a' }],
      [`POST /v1/${kind}/uploads`, { name: 'a', bytes: 1 }],
    ]),
  ),
};

interface Principal {
  call: Call;
  /** The person to ask for: of a session its own person, of a key any person. */
  userId: string;
  sessionId: string;
}
interface World {
  door: Door;
  principals: Record<PrincipalName, Principal>;
  keyId: string;
  letterId: string;
  messageId?: string;
}

/** A tenant with the spaces `here` and `there`, and one principal of each kind. */
async function openWorld(target: Target, { hasLetter = false } = {}): Promise<World> {
  const door = await openDoor(target);
  for (const space of ['here', 'there']) {
    await door.call('PUT', `/v1/spaces/${space}`, { json: { name: space } });
    await door.call('PUT', `/v1/spaces/${space}/objects/o`, { json: { name: 'before' } });
  }
  const principals = {} as Record<PrincipalName, Principal>;
  for (const role of SESSIONS) {
    await door.call('PUT', `/v1/users/${role}`, { json: { displayName: role } });
    const session = await openSession(target, door, { userId: role, role });
    principals[role] = { call: session.call, userId: role, sessionId: session.id };
  }
  await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
  const ofAnn = await openSession(target, door, {});
  for (const scope of KEYS)
    principals[scope] = {
      call: createCall(target, await door.apiKey([scope])),
      userId: 'ann',
      sessionId: ofAnn.id,
    };
  const { body: key } = await door.call('POST', '/v1/keys', { json: { scopes: ['read'] } });
  return { door, principals, keyId: key.id, letterId: hasLetter ? await openLetter(door) : 'none' };
}

/** In a separate space, because a correction follows at any time. */
async function openLetter(door: Door): Promise<string> {
  await door.call('PUT', '/v1/spaces/apart', { json: { name: 'Apart' } });
  return makeDeadLetter(door, '/v1/spaces/apart');
}

async function postMessage(call: Call): Promise<string> {
  const { body } = await call('POST', '/v1/spaces/here/chat', { json: { text: 'hello' } });
  return body.id;
}

function ask(
  route: string,
  call: Call,
  space: string,
  { userId, sessionId }: Omit<Principal, 'call'>,
  { keyId, letterId, messageId }: Pick<World, 'keyId' | 'letterId' | 'messageId'>,
) {
  const [method = '', pattern = ''] = route.split(' ');
  const ids = { users: userId, sessions: sessionId, keys: keyId, 'dead-letters': letterId };
  const id = (ids as Record<string, string>)[pattern.split('/')[2] ?? ''] ?? messageId ?? 'o';
  const json = BODIES[route];
  const path = pattern.replace(':space', space).replace(':id', id).replace(':part', '1');
  return call(method, path, json === undefined ? {} : { json });
}

export function describeRoles(target: () => Target): void {
  describe('[T3] the role table', () => {
    it(`is this one: ${ROWS.length} routes, ${CELLS} cells`, () => {
      const guarded = ROUTES.filter(
        ({ access }) => access !== 'open' && access !== 'signed' && access !== 'metrics',
      );
      const names = guarded.map(
        ({ method, path }) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
      );
      expect(ROWS.map(({ route }) => route).toSorted()).toEqual(names.toSorted());
      expect(CELLS).toBe(ROWS.length * PRINCIPALS.length);
    });

    it.each(ROWS)('$route: $allowed may, $denied may not', async ({ route, allowed, denied }) => {
      const world = await openWorld(target(), { hasLetter: route.includes('dead-letters') });
      const { door, principals } = world;
      const read = async () => [
        (await door.call('GET', '/v1/spaces/here/state')).text,
        (await door.call('GET', '/v1/users/ann')).status,
        (await door.call('GET', '/v1/keys')).text,
        (await door.call('GET', '/v1/dead-letters')).text,
      ];
      const before = await read();
      for (const name of denied) {
        const { call, ...own } = principals[name];
        const { status, body } = await ask(route, call, 'here', own, world);
        expect([name, status, body?.code]).toEqual([name, 403, 'forbidden']);
      }
      expect(await read()).toEqual(before);
      for (const name of allowed) {
        // One principal may delete these things: creates them again for the next one.
        if (route.startsWith('DELETE') && route.includes('/objects/'))
          await door.call('PUT', '/v1/spaces/here/objects/o', { json: {} });
        const { call, ...own } = principals[name];
        if (route.includes('/chat/:id')) world.messageId = await postMessage(call);
        const { status } = await ask(route, call, 'here', own, world);
        // Not every runtime has a bucket.
        const isGood = isLibrary(route) ? status !== 403 : status >= 200 && status < 300;
        expect([name, status, isGood]).toEqual([name, status, true]);
      }
    });

    describe(`a session and things of others: ${OWN_ROWS.length * SESSIONS.length} cells`, () => {
      let world: World;
      beforeAll(async () => {
        world = await openWorld(target());
      });

      it.each(OWN_ROWS)(
        '$route is 403, if the thing exists or not, and nothing changes',
        async ({ route }) => {
          const { door, principals } = world;
          const read = async () => [
            (await door.call('GET', '/v1/spaces/there/state')).text,
            (await door.call('GET', '/v1/users/ann')).text,
          ];
          const before = await read();
          for (const role of SESSIONS) {
            const { call } = principals[role];
            const others = { userId: 'ann', sessionId: principals.read.sessionId };
            const nobody = { userId: 'nobody', sessionId: 'none' };
            const answers = [
              await ask(route, call, 'there', others, world),
              await ask(route, call, 'nowhere', nobody, world),
            ];
            for (const { status, body } of answers)
              expect([role, status, body?.code]).toEqual([role, 403, 'forbidden']);
            expect(answers[0]?.body.detail).toBe(answers[1]?.body.detail);
          }
          expect(await read()).toEqual(before);
        },
      );
    });
  });
}
