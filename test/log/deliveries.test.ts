import { afterEach, describe, expect, it, vi } from 'vitest';
import { CURRENT_KEY, NEXT_KEY, TOKEN, useTestQueue } from '../../dev/emulators/qstash-test-queue.ts';
import { createApp } from '../../functions/app.ts';
import { composeWorker } from '../../functions/compose-worker.ts';
import { serveApp } from '../../src/cli/testing/serve-app.ts';
import { createQueue } from '../../src/qstash/queue.ts';
import type { Operation } from '../../src/world/operation.ts';
import { PUBLIC_URL, signDelivery } from '../http/sign-delivery.ts';
import { makeEnv } from '../http/targets.ts';
import { anyOperation, Chance } from './chance.ts';
import { expectDrained } from './fold.ts';
import { makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig } from './rig.ts';

const rig = useRig();
const queue = useTestQueue();
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** The functions, with the drain of this file's stores. */
function openApp(publicUrl: string, drains = openDrain(rig).drain) {
  const env = makeEnv({
    QSTASH_TOKEN: TOKEN,
    QSTASH_CURRENT_SIGNING_KEY: CURRENT_KEY,
    QSTASH_NEXT_SIGNING_KEY: NEXT_KEY,
    PUBLIC_URL: publicUrl,
    LOG_LEVEL: 'silent',
  });
  return createApp({ ...composeWorker(env), drains });
}

describe('[D4] a delivery of QStash', () => {
  it.each([1, 2, 3])(
    'that comes one to five times, in any order, at the same time as others, drains once (seed %i)',
    async (seed) => {
      const chance = new Chance(seed);
      const spaces = [await makeSpace(rig), await makeSpace(rig)];
      const app = openApp(PUBLIC_URL);
      const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
      for (let round = 0; round < 3; round++) {
        const deliveries: { body: string; signature: string }[] = [];
        for (const address of spaces) {
          for (let i = 0; i < 3; i++) {
            const ops: Operation[] = Array.from({ length: 4 }, () => anyOperation(chance, []));
            await spaceLog.enqueue({ ...address, actor: null }, ops, options());
          }
          for (const body of [JSON.stringify(address), '{}']) {
            const signature = await signDelivery({ body, key: CURRENT_KEY });
            for (let times = 1 + chance.below(5); times > 0; times--) deliveries.push({ body, signature });
          }
        }
        const answers = await Promise.all(
          chance.shuffle(deliveries).map(({ body, signature }) =>
            app.request('/jobs/drain', {
              method: 'POST',
              body,
              headers: { 'Upstash-Signature': signature },
            }),
          ),
        );
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
        for (const address of spaces) await expectDrained(rig, address);
      }
    },
  );

  it('that comes again and again while stores are away drains when they are back', async () => {
    const address = await makeSpace(rig);
    const { emulator, clock } = await queue.start();
    const served = await serveApp((request) => app.fetch(request));
    closing.push(served.close);
    const app = openApp(served.url);
    const publish = createQueue({ url: emulator.url, token: TOKEN, publicUrl: served.url });
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    for (const id of ['a', 'b'])
      await spaceLog.enqueue({ ...address, actor: null }, [{ op: 'put', id }], options());
    // Published three times, by drains that failed one after the other.
    for (let i = 0; i < 3; i++) await publish.publishDrain({ ...address, delaySeconds: i });
    rig.neon.inject({ kind: 'drop-reply', match: 'apply_batch', times: 1 });
    rig.upstash.inject({ kind: 'refuse', times: 1 });
    vi.spyOn(console, 'error').mockReturnValue();
    for (let i = 0; i < 20; i++) {
      clock.advance(30_000);
      await emulator.idle();
    }
    await expectDrained(rig, address);
  });
});
