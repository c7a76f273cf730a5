import { afterAll, beforeAll } from 'vitest';
import { describeBadInput } from './cases/bad-input.ts';
import { describeConfiguration } from './cases/configuration.ts';
import { describeDeadLetters } from './cases/dead-letters.ts';
import { describeFuzz } from './cases/fuzz.ts';
import { describeHealth } from './cases/health.ts';
import { describeIdempotency } from './cases/idempotency.ts';
import { describeJobs } from './cases/jobs.ts';
import { describeKeys } from './cases/keys.ts';
import { describeLogs } from './cases/logs.ts';
import { describeObjects } from './cases/objects.ts';
import { describeOutages } from './cases/outages.ts';
import { describePeople, describeSessionsElsewhere } from './cases/people.ts';
import { describePresence, describePresenceElsewhere } from './cases/presence.ts';
import { describeProtocol } from './cases/protocol.ts';
import { describeRateLimits } from './cases/rate-limit.ts';
import { describeRoles } from './cases/roles.ts';
import { describeSpaces } from './cases/spaces.ts';
import { describeState } from './cases/state.ts';
import { describeStream } from './cases/stream.ts';
import { describeTenancy } from './cases/tenancy.ts';
import { describeUpdateModes } from './cases/update-modes.ts';
import { describeUpdates } from './cases/updates.ts';
import type { Runtime } from './runtimes.ts';
import type { Target, TargetEnv } from './targets.ts';

/** Everything the HTTP contract says, asked of one kind of target from outside. */
export function describeApi(runtime: Runtime): void {
  let running: Target;
  let env: TargetEnv;
  beforeAll(async () => {
    env = runtime.makeEnv();
    running = await runtime.start(env);
  });
  afterAll(() => running?.stop());
  const target = () => running;

  describeSpaces(target);
  describeObjects(target);
  describeState(target);
  describeUpdates(target);
  describeIdempotency(target);
  describeDeadLetters(target);
  describeKeys(target);
  describeTenancy(target);
  describePeople(target);
  describePresence(target);
  describeRoles(target);
  describeProtocol(target);
  describeHealth(target, () => env);
  describeBadInput(target);
  describeFuzz(target);
  describeOutages(runtime);
  describeConfiguration(runtime);
  describeSessionsElsewhere(runtime);
  describePresenceElsewhere(runtime);
  describeRateLimits(runtime);
  describeLogs(runtime);
  describeJobs(runtime);
  describeUpdateModes(runtime);
  describeStream(runtime);
}
