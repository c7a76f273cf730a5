import { afterAll, beforeAll } from 'vitest';
import { describeAnalytics } from './cases/analytics.ts';
import { describeAssets, describeNoAssets } from './cases/assets.ts';
import { describeAudit } from './cases/audit.ts';
import { describeBadInput } from './cases/bad-input.ts';
import { describeChat, describeChatElsewhere } from './cases/chat.ts';
import { describeConfiguration } from './cases/configuration.ts';
import { describeDeadLetters } from './cases/dead-letters.ts';
import { describeEvents, describeEventsElsewhere } from './cases/events.ts';
import { describeFuzz } from './cases/fuzz.ts';
import { describeHealth } from './cases/health.ts';
import { describeHome } from './cases/home.ts';
import { describeIdempotency } from './cases/idempotency.ts';
import { describeJobs } from './cases/jobs.ts';
import { describeKeys } from './cases/keys.ts';
import { describeLogs } from './cases/logs.ts';
import { describeMetrics, describeMetricsElsewhere } from './cases/metrics.ts';
import { describeMoves } from './cases/moves.ts';
import { describeObjects } from './cases/objects.ts';
import { describeOperations, describeOperationsElsewhere } from './cases/operations.ts';
import { describePeople, describeSessionsElsewhere } from './cases/people.ts';
import { describePresence, describePresenceElsewhere } from './cases/presence.ts';
import { describeProtocol } from './cases/protocol.ts';
import { describeRateLimits } from './cases/rate-limit.ts';
import { describeRoles } from './cases/roles.ts';
import { describeSpaces } from './cases/spaces.ts';
import { describeStaleState } from './cases/stale-state.ts';
import { describeState } from './cases/state.ts';
import { describeStateLines } from './cases/state-lines.ts';
import { describeStream } from './cases/stream.ts';
import { describeTenancy } from './cases/tenancy.ts';
import { describeUpdateModes } from './cases/update-modes.ts';
import { describeUpdates } from './cases/updates.ts';
import type { Runtime } from './runtimes.ts';
import type { Target, TargetEnv } from './targets.ts';

/** The cases whose outcome is the same on each runtime, tested from outside. */
export function describeContract(runtime: Runtime): void {
  const { target } = useTarget(runtime);
  describeSpaces(target);
  describeObjects(target);
  describeState(target);
  describeUpdates(target);
  describeMoves(target);
  describeChat(target);
  describeIdempotency(target);
  describeDeadLetters(target);
  describeKeys(target);
  describeTenancy(target);
  describePeople(target);
  describePresence(target);
  describeRoles(target);
  describeOperations(target);
  describeFuzz(target);
  describeSessionsElsewhere(runtime);
  describePresenceElsewhere(runtime);
  describeRateLimits(runtime);
  describeUpdateModes(runtime);
  describeEventsElsewhere(runtime);
  describeChatElsewhere(runtime);
  describeStaleState(runtime);
  describeAnalytics(runtime);
  describeAudit(runtime);
}

/** The figures of several processes together. They wait for flushes. */
export function describeFigures(runtime: Runtime): void {
  describeMetricsElsewhere(runtime);
  describeOperationsElsewhere(runtime);
}

/** The cases whose outcome can depend on the runtime: headers, bodies, streams, configuration, logs. */
export function describeRuntime(runtime: Runtime): void {
  const { target, env } = useTarget(runtime);
  describeStateLines(target);
  if (runtime.hasBucket) describeAssets(target);
  else describeNoAssets(target);
  describeEvents(target, runtime);
  describeProtocol(target);
  describeHealth(target, env);
  describeHome(target);
  describeMetrics(runtime, target);
  describeBadInput(target);
  describeConfiguration(runtime);
  describeLogs(runtime);
  describeJobs(runtime);
  describeStream(runtime);
}

/** One copy of the functions for all cases that do not change its configuration. */
function useTarget(runtime: Runtime): { target: () => Target; env: () => TargetEnv } {
  let running: Target;
  let env: TargetEnv;
  beforeAll(async () => {
    env = runtime.makeEnv();
    running = await runtime.start(env);
  });
  afterAll(() => running?.stop());
  return { target: () => running, env: () => env };
}
