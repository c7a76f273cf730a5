import { afterAll, beforeAll } from 'vitest';
import { describeBadInput } from './cases/bad-input.ts';
import { describeConfiguration } from './cases/configuration.ts';
import { describeFuzz } from './cases/fuzz.ts';
import { describeHealth } from './cases/health.ts';
import { describeKeys } from './cases/keys.ts';
import { describeObjects } from './cases/objects.ts';
import { describeOutages } from './cases/outages.ts';
import { describeProtocol } from './cases/protocol.ts';
import { describeSpaces } from './cases/spaces.ts';
import { describeState } from './cases/state.ts';
import { describeTenancy } from './cases/tenancy.ts';
import { makeEnv, type StartTarget, type Target, type TargetEnv } from './targets.ts';

/** Everything the HTTP contract says, asked of one kind of target from outside. */
export function describeApi(start: StartTarget): void {
  let running: Target;
  let env: TargetEnv;
  beforeAll(async () => {
    env = makeEnv();
    running = await start(env);
  });
  afterAll(() => running?.stop());
  const target = () => running;

  describeSpaces(target);
  describeObjects(target);
  describeState(target);
  describeKeys(target);
  describeTenancy(target);
  describeProtocol(target);
  describeHealth(target, () => env);
  describeBadInput(target);
  describeFuzz(target);
  describeOutages(start);
  describeConfiguration(start);
}
