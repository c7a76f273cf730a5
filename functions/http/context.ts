import type { Context } from 'hono';
import type { ApiKeys } from '../../src/access/api-keys.ts';
import type { RateLimiter } from '../../src/access/rate-limiter.ts';
import type { Sessions } from '../../src/access/sessions.ts';
import type { Analytics } from '../../src/analytics/analytics.ts';
import type { Audit } from '../../src/audit/audit.ts';
import type { Config } from '../../src/config.ts';
import type { EventLog } from '../../src/events/event-log.ts';
import type { OwnEvents } from '../../src/events/own-events.ts';
import type { JobRuns } from '../../src/jobs/job-runs.ts';
import type { JobSchedules } from '../../src/jobs/job-schedules.ts';
import type { Upkeep } from '../../src/jobs/upkeep.ts';
import type { AssetLibrary } from '../../src/library/asset-library.ts';
import type { Presence } from '../../src/live/presence.ts';
import type { SpaceChanges } from '../../src/live/space-changes.ts';
import type { SpaceStreams } from '../../src/live/space-streams.ts';
import type { DeadLetters } from '../../src/log/dead-letters.ts';
import type { Drain } from '../../src/log/drain.ts';
import type { Incidents } from '../../src/log/incidents.ts';
import type { SpaceLog } from '../../src/log/space-log.ts';
import type { FiguresReader } from '../../src/metrics/figures.ts';
import type { Counting } from '../../src/metrics/metrics.ts';
import type { PersistenceLayer } from '../../src/persistence-layer.ts';
import type { JsonObject, Role, Scope } from '../../src/world/types.ts';
import type { DescribedError } from './describe-error.ts';
import type { Log } from './log.ts';
import type { Rule, Trace } from './request-types.ts';
import type { FetchAsset } from './static-files.ts';

/** The work that QStash starts. */
export type Drains = Pick<Drain, 'drainSpace' | 'sweep'>;

/** Remembers the deliveries of QStash whose job is done. */
export interface FinishedJobs {
  isFinished(deliveryId: string): Promise<boolean>;
  markFinished(deliveryId: string, ttlSeconds: number): Promise<void>;
}

/** The objects that routes use. None holds a connection, so one set serves every request of an isolate. */
export interface Services {
  config: Config;
  /** For the default tenant, signed by nobody. */
  persistence: PersistenceLayer;
  apiKeys: ApiKeys;
  sessions: Sessions;
  limiter: RateLimiter;
  log: Log;
  /** Counts for GET /metrics; counts nothing without a METRICS_TOKEN. */
  metrics: Counting;
  /** The text of GET /metrics; null without a METRICS_TOKEN. */
  readMetrics: (() => Promise<string>) | null;
  /** Where a request comes from, as the runtime knows it and no caller can claim; null where it does not know. */
  readAddress: (c: AppContext) => string | null;
  /** Resolves when Redis answers; null where none is configured. */
  pingCache: (() => Promise<void>) | null;
  /** Milliseconds since 1970 at which each store went away, as this process knows; null: it is there. */
  readAwaySince: () => { database: number | null; cache: number | null };
  /** Null where there is no Redis, and so no log. */
  drains: Drains | null;
  /** Null where there is no Redis: then Postgres orders and applies. */
  spaceLog: Pick<SpaceLog, 'readStats' | 'findFault'> | null;
  /** The changes of spaces, polled or live; null without a Redis. */
  changes: Pick<SpaceChanges, 'list'> | null;
  streams: Pick<SpaceStreams, 'open' | 'check'> | null;
  /** Closes the connection of a request immediately, if the runtime can: its answer is not read. */
  cut: (c: AppContext) => void;
  /** Null if the page at `/` is not deployed with this server. */
  fetchAsset: FetchAsset | null;
  deadLetters: DeadLetters;
  assets: AssetLibrary;
  analytics: Analytics;
  audit: Pick<Audit, 'list' | 'readLines'>;
  upkeep: Pick<Upkeep, 'run'>;
  jobRuns: Pick<JobRuns, 'run' | 'runOften' | 'list'>;
  jobSchedules: JobSchedules;
  incidents: Incidents;
  /** The figures for the operations page. */
  figures: Pick<FiguresReader, 'read'>;
  /** The people in the spaces; null without a Redis. */
  presence: Presence | null;
  /** The events for analysts. */
  events: Pick<EventLog, 'drain'>;
  /** The events that the product writes itself. */
  ownEvents: Pick<OwnEvents, 'record'>;
  /** Keeps work going that no answer waits for, where the runtime has no way of its own. */
  defer: (work: Promise<unknown>) => void;
  finishedJobs: FinishedJobs | null;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** The caller: a server with its key, or a person in one space with a session token. */
export type Principal = KeyPrincipal | SessionPrincipal;

interface KnownPrincipal {
  /** Of the key or the session. */
  id: string;
  tenantId: string;
  /** The author of the caller's writes: the id of the key or of the person. */
  actor: string;
}

export interface KeyPrincipal extends KnownPrincipal {
  kind: 'key';
  scopes: readonly Scope[];
}

export interface SessionPrincipal extends KnownPrincipal {
  kind: 'session';
  userId: string;
  spaceId: string;
  role: Role;
}

export interface AppEnv {
  Variables: {
    requestId: string;
    trace: Trace;
    /** The failure of a request, for the log. Set by `answerProblem`. */
    failure: { code: string; causes?: DescribedError[] };
    services: Services;
    /** Describes all routes as OpenAPI. */
    describeApi: () => JsonObject;
    /** Stops the time of the answer while the caller sends its body. Set by `answerInTime`, which some routes do not have. */
    whileReading: (<T>(reading: Promise<T>) => Promise<T>) | undefined;
    /** The rights that the route needs. Set by `allow`. */
    rule: Rule;
    /** Set by `authenticate`. */
    principal: Principal;
    /** Waits for the count of the request, and tells of it in the answer to come; rejects where it is one too many. Set by `limitConcurrently`. */
    settleLimit: () => Promise<void>;
    /** The worlds of the principal's tenant. Set by `authenticate`. */
    worlds: PersistenceLayer;
  };
}

export type AppContext = Context<AppEnv>;
