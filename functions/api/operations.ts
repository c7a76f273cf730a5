import { summarizeJobs } from '../../src/jobs/job-schedules.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { AppContext } from '../http/context.ts';
import { lateStore } from '../http/deadline.ts';
import { readQuery } from '../http/query.ts';
import { readAwaySince } from './health.ts';

/** GET /v1/incidents */
export async function listIncidents(c: AppContext): Promise<Response> {
  const page = readQuery(c, ['space', 'limit', 'cursor']);
  return c.json(await c.get('services').incidents.list(c.get('principal').tenantId, page));
}

/** GET /v1/job-runs. Jobs work for all tenants, so only the operator sees what they did. */
export async function listJobRuns(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const { jobRuns, jobSchedules, now } = c.get('services');
  const runs = await jobRuns.list(LIMITS.jobRunsShownMax);
  const jobs = summarizeJobs(runs, jobSchedules, { nowMs: now(), showsDetails: isOperator(c) });
  return c.json({ jobs });
}

/** GET /v1/operations */
export async function getOperations(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const services = c.get('services');
  const { tenantId } = c.get('principal');
  const { answered, at, tenant, spaces, deployment } = await services.figures.read(tenantId, {
    showsDeployment: isOperator(c),
  });
  const { readyzTimeoutMs } = services.config.limits;
  const { database, cache } = answered;
  const awaySince = readAwaySince(services, {
    database: database || lateStore('Postgres', readyzTimeoutMs).message,
    cache: cache === false ? lateStore('Redis', readyzTimeoutMs).message : cache,
  });
  const status = !database ? 'down' : cache === false ? 'degraded' : 'ok';
  return c.json({
    at,
    health: { status, persistence: { database, cache: cache ?? false }, awaySince },
    tenant,
    spaces,
    deployment,
  });
}

/** Whether the key is of the tenant that operates the deployment. Totals would tell every other tenant of the others. */
function isOperator(c: AppContext): boolean {
  return c.get('principal').tenantId === c.get('services').config.defaultTenantId;
}
