CREATE TABLE "event_logs" (
	"log_name" text PRIMARY KEY NOT NULL,
	"cursor" bigint NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "job_runs" (
	"run_id" text PRIMARY KEY NOT NULL,
	"job" text NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	"failure" text,
	"counts" jsonb DEFAULT '{}'::jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "person_days" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"day" date NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"sessions" integer DEFAULT 0 NOT NULL,
	"seconds" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "person_days_tenant_id_user_id_day_space_id_pk" PRIMARY KEY("tenant_id","user_id","day","space_id")
);
--> statement-breakpoint
CREATE TABLE "space_days" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"day" date NOT NULL,
	"changes" bigint DEFAULT 0 NOT NULL,
	"messages" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "space_days_tenant_id_space_id_day_pk" PRIMARY KEY("tenant_id","space_id","day")
);
--> statement-breakpoint
CREATE INDEX "job_runs_newest" ON "job_runs" USING btree ("job","started_at");--> statement-breakpoint
CREATE INDEX "person_days_by_day" ON "person_days" USING btree ("tenant_id","day","space_id");--> statement-breakpoint
CALL protect_tenant_table('person_days', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('space_days', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
GRANT INSERT ON person_days TO worldkeep_jobs;
--> statement-breakpoint
-- Two tables of the whole deployment: the runtime role uses them through functions only.
CREATE PROCEDURE protect_shared_table(target regclass)
LANGUAGE plpgsql
AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE format('CREATE POLICY jobs_across_tenants ON %s TO worldkeep_jobs USING (true) WITH CHECK (true)', target);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO worldkeep_jobs', target);
END
$$;
--> statement-breakpoint
REVOKE ALL ON PROCEDURE protect_shared_table(regclass) FROM PUBLIC;
--> statement-breakpoint
CALL protect_shared_table('event_logs');
--> statement-breakpoint
CALL protect_shared_table('job_runs');
--> statement-breakpoint
-- Events for analysts. No world depends on them. `at`: when it happened; `created_at`: when it was accepted. A day is one partition, so
-- that a whole day goes without a row being deleted.
CREATE TABLE events (
  tenant_id text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  type text NOT NULL,
  space_id text COLLATE "C",
  user_id text COLLATE "C",
  at timestamp with time zone NOT NULL,
  data jsonb NOT NULL DEFAULT '{}',
  created_at timestamp with time zone NOT NULL DEFAULT now()
) PARTITION BY RANGE (created_at);
--> statement-breakpoint
CREATE INDEX events_newest ON events (tenant_id, created_at, event_id);
--> statement-breakpoint
CREATE INDEX events_of_user ON events (tenant_id, user_id, created_at) WHERE user_id IS NOT NULL;
--> statement-breakpoint
CALL protect_tenant_table('events', 'SELECT, INSERT, DELETE');
--> statement-breakpoint
GRANT INSERT ON events TO worldkeep_jobs;
--> statement-breakpoint
-- The days of `events` and `audit_entries`. The runtime role may not use this schema: it reads them through their parent.
CREATE SCHEMA day_partitions AUTHORIZATION worldkeep_jobs;
--> statement-breakpoint
-- Adds the partition of a day in UTC to a table. @returns false if it was there. Attaching a table does not make readers wait, as
-- creating a partition does. Row security of the parent does not hold for a partition that is read by its own name, so each has its own.
CREATE FUNCTION add_day(p_table text, p_day date) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET lock_timeout = '100ms'
AS $$
DECLARE
  v_table text := format('day_partitions.%I', p_table || '_' || to_char(p_day, 'YYYYMMDD'));
BEGIN
  IF to_regclass(v_table) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %s (LIKE %I INCLUDING DEFAULTS)', v_table, p_table);
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', v_table);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', v_table);
  EXECUTE format(
    'CREATE POLICY tenant_isolation ON %s TO worldkeep_app USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant())',
    v_table);
  EXECUTE format('CREATE POLICY jobs_across_tenants ON %s TO worldkeep_jobs USING (true) WITH CHECK (true)', v_table);
  EXECUTE format(
    'ALTER TABLE %I ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
    p_table, v_table, p_day::timestamp AT TIME ZONE 'UTC', (p_day + 1)::timestamp AT TIME ZONE 'UTC');
  RETURN true;
EXCEPTION WHEN duplicate_table OR unique_violation OR duplicate_object THEN
  -- Another process has just added it.
  RETURN false;
END
$$;
--> statement-breakpoint
-- Stores events, and the days on which people were there. p_log: the log in Redis that they come from, from p_from to p_to; NULL if they
-- come from none. It does nothing if the log is already beyond p_from: a repeated or late call changes nothing. If the cursor is before
-- p_from, Postgres has lost events that Redis has trimmed since; the later ones are stored.
-- p_entries: [{tenant, created, events: [{id, type, space, user, at, data}]}], times in ISO 8601. Without `created` they are accepted now.
-- Outcomes: stored (stored, refused: the number of events), moved (at_cursor: where the log is).
CREATE FUNCTION store_events(
  p_log text, p_from bigint, p_to bigint, p_entries json,
  OUT status text, OUT stored integer, OUT refused integer, OUT at_cursor bigint)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_single json;
  v_day date;
BEGIN
  IF p_log IS NOT NULL THEN
    INSERT INTO event_logs (log_name, cursor) VALUES (p_log, 0) ON CONFLICT DO NOTHING;
    UPDATE event_logs SET cursor = p_to, updated_at = now() WHERE log_name = p_log AND cursor <= p_from;
    IF NOT FOUND THEN
      SELECT 'moved', cursor INTO status, at_cursor FROM event_logs WHERE log_name = p_log;
      RETURN;
    END IF;
  END IF;
  -- A cleanup adds days ahead; this is for a deployment whose cleanup has not run for a week, or that stores late.
  FOR v_day IN
    SELECT DISTINCT (coalesce((g ->> 'created')::timestamptz, now()) AT TIME ZONE 'UTC')::date FROM json_array_elements(p_entries) AS g
  LOOP
    PERFORM add_day('events', v_day);
  END LOOP;
  status := 'stored';
  refused := 0;
  BEGIN
    stored := insert_events(p_entries);
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
    -- One of them cannot be stored. The others are.
    stored := 0;
    FOR v_single IN
      WITH entries AS MATERIALIZED (
        SELECT g -> 'tenant' AS tenant, g -> 'created' AS created, g -> 'events' AS events FROM json_array_elements(p_entries) AS g
      )
      SELECT json_build_array(json_build_object('tenant', n.tenant, 'created', n.created, 'events', json_build_array(e)))
      FROM entries n, json_array_elements(n.events) AS e
    LOOP
      BEGIN
        stored := stored + insert_events(v_single);
      EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
        refused := refused + 1;
      END;
    END LOOP;
  END;
END
$$;
--> statement-breakpoint
-- The rows of store_events. `session.end` brings the seconds of its session in `data`. Callers write such events too, so anything may
-- be there: a session lasts a day at most.
CREATE FUNCTION insert_events(p_entries json) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
  v_count integer;
BEGIN
  -- Materialized: otherwise each event would parse its whole entry again.
  WITH entries AS MATERIALIZED (
    SELECT g ->> 'tenant' AS tenant, (g ->> 'created')::timestamptz AS created, g -> 'events' AS events
    FROM json_array_elements(p_entries) AS g
  ), given AS (
    SELECT n.tenant, n.created, e.* FROM entries n, json_to_recordset(n.events) AS e (
      id text, type text, space text, "user" text, at timestamptz, data jsonb)
  ), kept AS (
    INSERT INTO events (tenant_id, event_id, type, space_id, user_id, at, data, created_at)
    SELECT g.tenant, g.id, g.type, g.space, g."user", g.at, coalesce(g.data, '{}'), coalesce(g.created, now()) FROM given g
  ), days AS (
    INSERT INTO person_days AS d (tenant_id, user_id, day, space_id, sessions, seconds)
    SELECT g.tenant, g."user", (g.at AT TIME ZONE 'UTC')::date, coalesce(g.space, ''),
      count(*) FILTER (WHERE g.type = 'session.start'),
      coalesce(sum(CASE WHEN g.type = 'session.end' AND jsonb_typeof(g.data -> 'seconds') = 'number'
        THEN round(least(greatest((g.data ->> 'seconds')::numeric, 0), 86400)) END), 0)
    -- Any other event may name a person who was in no space.
    FROM given g WHERE g."user" IS NOT NULL AND g.type IN ('session.start', 'session.end', 'user.spawn')
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (tenant_id, user_id, day, space_id)
    DO UPDATE SET sessions = d.sessions + excluded.sessions, seconds = d.seconds + excluded.seconds
    WHERE excluded.sessions <> 0 OR excluded.seconds <> 0
  )
  SELECT count(*) INTO v_count FROM given;
  RETURN v_count;
END
$$;
--> statement-breakpoint
-- Ends sessions that have expired without an end, p_limit at most: each ended at its last heartbeat. Of each it stores
-- a `session.end`, if p_writes_events. @returns how many it ended.
CREATE FUNCTION end_expired_sessions(p_limit integer, p_writes_events boolean) RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_count integer;
  v_entries json;
BEGIN
  WITH expired AS (
    SELECT s.tenant_id, s.session_id FROM sessions s
    WHERE s.ended_at IS NULL AND s.expires_at < now()
    LIMIT p_limit
    FOR NO KEY UPDATE SKIP LOCKED
  ), ended AS (
    UPDATE sessions s SET ended_at = coalesce(s.last_heartbeat_at, s.created_at)
    FROM expired e WHERE s.tenant_id = e.tenant_id AND s.session_id = e.session_id
    RETURNING s.tenant_id, s.session_id, s.space_id, s.user_id, s.created_at, s.ended_at
  )
  SELECT count(*), json_agg(json_build_object('tenant', e.tenant_id, 'events', json_build_array(json_build_object(
    'id', gen_random_uuid(), 'type', 'session.end', 'space', e.space_id, 'user', e.user_id,
    -- A session that ends when it begins would end before it.
    'at', greatest(e.ended_at, e.created_at + interval '1 millisecond'),
    'data', json_build_object(
      'sessionId', e.session_id, 'seconds', greatest(0, round(extract(epoch FROM e.ended_at - e.created_at))))))))
  INTO v_count, v_entries FROM ended e;
  IF v_count > 0 AND p_writes_events THEN
    PERFORM add_day('events', (now() AT TIME ZONE 'UTC')::date);
    PERFORM insert_events(v_entries);
  END IF;
  RETURN v_count;
END
$$;
--> statement-breakpoint
-- Has the sessions without an end only, so that end_expired_sessions reads no others.
CREATE INDEX sessions_without_end ON sessions (tenant_id, expires_at) WHERE ended_at IS NULL;
--> statement-breakpoint
REVOKE ALL ON FUNCTION add_day(text, date), store_events(text, bigint, bigint, json), insert_events(json),
  end_expired_sessions(integer, boolean) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION store_events(text, bigint, bigint, json) TO worldkeep_app;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION end_expired_sessions(integer, boolean) TO worldkeep_app;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION insert_events(json) TO worldkeep_jobs;
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER TABLE events OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION add_day(text, date) OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION store_events(text, bigint, bigint, json) OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION end_expired_sessions(integer, boolean) OWNER TO worldkeep_jobs;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
