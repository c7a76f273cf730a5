import { countOf } from '../../helpers/counts.ts';
import type { DatabaseFacts } from '../../postgres/inspect.ts';
import { FIXED_SETTINGS } from '../../postgres/settings.ts';
import { type Finding, judgeClock, ok, unknown, warning, wrong } from './finding.ts';
import type { JournalEntry } from './journal.ts';

const VERSION_MIN = 16;
/** Of a table whose rows name their tenant, and of one whose rows name a world, whose number has its tenant's in it. */
const POLICIES = [
  '(tenant_id = current_tenant())',
  '((world >> 39) = ( SELECT t.number FROM tenants t WHERE (t.tenant_id = current_tenant())))',
];
const MIGRATE = 'Run DATABASE_MIGRATION_URL=<as the owner> npx worldkeep migrate.';
const NAMES_SHOWN_MAX = 5;
/** The role of the migrations for work across tenants. */
const JOBS_ROLE = 'worldkeep_jobs';

/** The meaning of a database's settings for its worlds. */
export function judgeDatabase(facts: DatabaseFacts, journal: readonly JournalEntry[]): Finding[] {
  return [
    judgeVersion(facts),
    judgeMigrations(facts, journal),
    judgeRights(facts),
    judgeAccess(facts),
    judgeOwnership(facts),
    judgeRowSecurity(facts),
    ...judgeViews(facts),
    ...judgeMaintenance(facts),
    ...judgeSettings(facts),
    judgeClock('postgres.clock', 'Postgres', facts),
  ];
}

function judgeVersion({ version }: DatabaseFacts): Finding {
  const major = Math.floor(version / 10_000);
  if (major >= VERSION_MIN) return ok('postgres.version', `Postgres ${major}`);
  return wrong(
    'postgres.version',
    `Postgres ${major} is too old`,
    `Move the database to Postgres ${VERSION_MIN} or newer.`,
  );
}

function judgeMigrations({ migrations }: DatabaseFacts, journal: readonly JournalEntry[]): Finding {
  const id = 'postgres.migrations';
  if (migrations === 'denied') return unknown(id, 'this role may not see which migrations have run', MIGRATE);
  if (migrations === null) return wrong(id, 'no migration has ever run here', MIGRATE);
  const applied = new Map(migrations.map(({ when, hash }) => [when, hash]));
  const missing = journal.filter(({ when }) => !applied.has(when));
  if (missing.length > 0)
    return wrong(
      id,
      `${countOf(missing.length, 'migration')} to run: ${list(missing.map(({ tag }) => tag))}`,
      MIGRATE,
    );
  const changed = journal.filter(({ when, hash }) => applied.get(when) !== hash);
  if (changed.length > 0)
    return wrong(
      id,
      `other text has run than is in ${list(changed.map(({ tag }) => tag))}`,
      'Migrations that have landed are never edited: put the files back as they were, and make a later one.',
    );
  if (applied.size > journal.length)
    return wrong(
      id,
      `the database is newer than this program, which does not know ${countOf(applied.size - journal.length, 'migration')}`,
      'Use the version of worldkeep that has migrated it, or a newer one.',
    );
  return ok(id, `all ${journal.length} migrations have run`);
}

function judgeRights({ role }: DatabaseFacts): Finding {
  const id = 'postgres.role_rights';
  const remedy =
    'Use the role worldkeep_app of the migrations in DATABASE_URL. Remove its extra rights: ALTER ROLE worldkeep_app NOSUPERUSER NOBYPASSRLS; REVOKE <role> FROM worldkeep_app.';
  if (role.isSuperuser)
    return wrong(id, `${role.name} is a SUPERUSER: row security does not hold for it`, remedy);
  if (role.bypassesRowSecurity)
    return wrong(id, `${role.name} has BYPASSRLS: row security does not hold for it`, remedy);
  if (role.mayBecome.length > 0)
    return wrong(
      id,
      `${role.name} may become ${list(role.mayBecome)}, and Postgres does not apply row security to that role`,
      remedy,
    );
  return ok(id, `${role.name} has neither SUPERUSER nor BYPASSRLS`);
}

function judgeAccess({ role, tables }: DatabaseFacts): Finding {
  const id = 'postgres.access';
  const closed = tables
    .filter(({ isEnabled, isReadable }) => isEnabled && !isReadable)
    .map(({ name }) => name);
  if (closed.length === 0) return ok(id, `${role.name} may read all tables with tenants`);
  return wrong(
    id,
    `${role.name} lacks the rights that the migrations grant to worldkeep_app: it may not read ${list(closed)}`,
    'Let DATABASE_URL name the role worldkeep_app, and run npx worldkeep migrate as the owner.',
  );
}

function judgeOwnership({ role }: DatabaseFacts): Finding {
  const id = 'postgres.ownership';
  if (role.owns.length === 0) return ok(id, `${role.name} owns nothing`);
  return wrong(
    id,
    `${role.name} owns ${list(role.owns)}: who owns a table may turn its row security off`,
    'Migrate as another role, and give it what this one owns: REASSIGN OWNED BY <this role> TO <owner>.',
  );
}

function judgeRowSecurity({ tables }: DatabaseFacts): Finding {
  const id = 'postgres.row_security';
  if (tables.length === 0) return wrong(id, 'there is no table with tenants', MIGRATE);
  const open = tables.flatMap((table) => {
    const fault = findFault(table);
    return fault === null ? [] : [`${table.name} (${fault})`];
  });
  if (open.length === 0) return ok(id, `row security is forced on all ${tables.length} tables with tenants`);
  return wrong(
    id,
    `row security does not hold on ${list(open)}`,
    'As the owner, for each: ALTER TABLE <table> ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY. Drop policies that the migrations did not create. If none is left, CREATE POLICY tenant_isolation ON <table> TO worldkeep_app, with its condition in 0001_roles_and_policies.sql.',
  );
}

/** Whether a refresh of the views sees all rows. If it does not, it fills them with nothing, and no error says so. */
function judgeViews({ views }: DatabaseFacts): Finding[] {
  const id = 'postgres.views';
  if (views.length === 0) return [];
  const faults = views.flatMap(({ name, owner, hasTemporary, hidden }) => {
    if (hidden.length > 0) return [`${name} (its owner ${owner} does not see the rows of ${list(hidden)})`];
    if (owner !== JOBS_ROLE) return [`${name} (it belongs to ${owner})`];
    return hasTemporary ? [] : [`${name} (its owner ${owner} lacks TEMPORARY)`];
  });
  if (faults.length === 0)
    return [ok(id, `a refresh by ${JOBS_ROLE} sees all rows of ${countOf(views.length, 'view')}`)];
  return [
    warning(
      id,
      `a refresh fails, or leaves views without rows and without an error: ${list(faults)}`,
      `As a superuser or the owner of the database: ALTER MATERIALIZED VIEW <view> OWNER TO ${JOBS_ROLE}; GRANT TEMPORARY ON DATABASE <database> TO ${JOBS_ROLE}. For a table: GRANT SELECT ON <table> TO ${JOBS_ROLE}; CREATE POLICY jobs_across_tenants ON <table> TO ${JOBS_ROLE} USING (true) WITH CHECK (true).`,
    ),
  ];
}

/** Row security is forced on all tables, so their owner sees no row either, and deletes none. */
function judgeMaintenance({ tableOwner }: DatabaseFacts): Finding[] {
  const id = 'postgres.maintenance';
  if (tableOwner === null) return [];
  if (tableOwner.seesAll) return [ok(id, `${tableOwner.name}, who owns the tables, sees all rows`)];
  return [
    warning(
      id,
      `${tableOwner.name} owns the tables and lacks BYPASSRLS: DELETE and REFRESH by this role find 0 rows, without an error`,
      `Before maintenance by hand, run SET ROLE ${JOBS_ROLE}.`,
    ),
  ];
}

/** The settings that worldkeep overrides in each transaction, and a setting that it cannot override. */
function judgeSettings({ settings }: DatabaseFacts): Finding[] {
  const replication = settings.find(({ name }) => name === 'session_replication_role');
  const overridden = settings.filter((setting) => setting !== replication && !isHarmless(setting));
  const shown = overridden.map(({ name, value, source }) => `${name} = ${value} (${source})`);
  return [
    ok(
      'postgres.settings',
      shown.length === 0
        ? 'no setting of the database, the role or the connection has to be overridden'
        : `worldkeep overrides in its own transactions: ${shown.join(', ')}`,
    ),
    ...(replication === undefined || replication.value === 'origin'
      ? []
      : [
          wrong(
            'postgres.triggers',
            `session_replication_role is ${replication.value} (${replication.source}): triggers do not run, and only a superuser may change that`,
            'As a superuser: ALTER DATABASE <database> RESET session_replication_role; the same for the role.',
          ),
        ]),
  ];
}

/** The value that worldkeep sets, the server's own default, or what the migrations give the role. */
function isHarmless({ name, value }: DatabaseFacts['settings'][number]): boolean {
  const fixed: Readonly<Record<string, string>> = FIXED_SETTINGS;
  if (value.toLowerCase() === fixed[name]?.toLowerCase()) return true;
  if (name === 'DateStyle') return value.startsWith('ISO');
  if (name === 'TimeZone') return ['Etc/UTC', 'GMT'].includes(value);
  if (name === 'search_path') return value === '"$user", public';
  if (name === 'statement_timeout') return ['0 ms', '30000 ms'].includes(value);
  return ['0 ms', 'off', 'read committed'].includes(value) && !(name in fixed);
}

function findFault({ isEnabled, isForced, policies }: DatabaseFacts['tables'][number]): string | null {
  if (!isEnabled) return 'off';
  if (!isForced) return 'not forced';
  if (policies.length === 0) return 'no policy';
  // Policies add up: one that is wider than a tenant opens the table.
  const wide = policies.find(({ using, check }) => !isOwn(using) || !isOwn(check));
  return wide === undefined ? null : `policy ${wide.name} is not the tenant's own`;
}

function isOwn(condition: string | null): boolean {
  return condition === null || POLICIES.includes(condition.replaceAll(/\s+/g, ' '));
}

function list(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN_MAX;
  return `${names.slice(0, NAMES_SHOWN_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
