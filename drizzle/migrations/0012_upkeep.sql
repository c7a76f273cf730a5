-- Upkeep removes what is over its time, across all tenants. Each function removes a bounded number of rows, in one short transaction, and
-- skips rows that others have locked. The caller repeats it. Times come from the caller, so that a test can let a year pass.
-- Indexes for the upkeep only. Others of these tables serve it already.
CREATE INDEX sessions_oldest ON sessions (tenant_id, expires_at);
--> statement-breakpoint
CREATE INDEX api_keys_over ON api_keys (tenant_id, least(expires_at, revoked_at)) WHERE least(expires_at, revoked_at) IS NOT NULL;
--> statement-breakpoint
CREATE INDEX space_days_oldest ON space_days (tenant_id, day);
--> statement-breakpoint
CREATE INDEX spaces_deleted ON spaces (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;
--> statement-breakpoint
-- Removes rows of one kind whose time is before p_before. It begins at the tenant p_from ('': the first). One call visits at most 1,000
-- tenants and removes at most p_limit rows. next: the tenant for the next call; NULL where there is none left.
CREATE FUNCTION clean_records(p_kind text, p_before timestamptz, p_from text, p_limit integer, OUT removed integer, OUT next text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_table text;
  v_time text;
  v_last text;
BEGIN
  SELECT k.name, k.moment INTO STRICT v_table, v_time FROM (VALUES
    ('results', 'write_results', 'r.created_at'),
    ('written', 'written_objects', 'r.created_at'),
    ('dead_letters', 'dead_letters', 'r.created_at'),
    ('incidents', 'incidents', 'r.created_at'),
    ('messages', 'chat_messages', 'r.deleted_at'),
    -- An ended session stays as long as one that expires: a late heartbeat finds its end.
    ('sessions', 'sessions', 'r.expires_at'),
    ('keys', 'api_keys', 'least(r.expires_at, r.revoked_at)'),
    -- See sweep_worlds: an hour after the last data, or a week after an entry of the log named it.
    ('stages', 'world_stages', 'greatest(r.touched_at + interval ''1 hour'', r.queued_at + interval ''7 days'')'),
    ('person_days', 'person_days', 'r.day'),
    ('space_days', 'space_days', 'r.day')
  ) AS k (kind, name, moment) WHERE k.kind = p_kind;
  EXECUTE format($query$
    WITH visited AS MATERIALIZED (
      SELECT t.tenant_id FROM tenants t WHERE t.tenant_id >= $1 ORDER BY t.tenant_id LIMIT 1000
    ), over AS MATERIALIZED (
      SELECT v.tenant_id, o.place FROM visited v CROSS JOIN LATERAL (
        SELECT r.ctid AS place FROM %1$I r WHERE r.tenant_id = v.tenant_id AND %2$s < $2 LIMIT $3 FOR UPDATE SKIP LOCKED
      ) AS o
      LIMIT $3
    ), gone AS (
      DELETE FROM %1$I d WHERE d.ctid = ANY (ARRAY(SELECT o.place FROM over o)) RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone), CASE WHEN (SELECT count(*) FROM over) = $3 THEN (SELECT max(o.tenant_id) FROM over o) END
  $query$, v_table, v_time)
  INTO removed, next USING p_from, p_before, p_limit;
  IF next IS NULL THEN
    SELECT t.tenant_id INTO next FROM tenants t WHERE t.tenant_id >= p_from ORDER BY t.tenant_id OFFSET 1000 LIMIT 1;
  END IF;
END
$$;
--> statement-breakpoint
-- Adds the partitions of p_days days. @returns how many were not there. Where another process has the parent, the rest waits for the
-- next call; store_events adds a day that is missing.
CREATE FUNCTION add_event_days(p_from date, p_days integer) RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_added integer := 0;
BEGIN
  FOR i IN 0 .. p_days - 1 LOOP
    v_added := v_added + add_day('events', p_from + i)::integer;
  END LOOP;
  RETURN v_added;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END
$$;
--> statement-breakpoint
-- Drops the oldest day of a table before p_before. Outcomes: dropped, none. busy: a transaction that reads the table held it for longer
-- than lock_timeout. Waiting longer would make new readers wait behind this. A DROP locks the parent, then the partition, so that both
-- together wait 100 ms at most. DETACH CONCURRENTLY waits without such locks, but cannot run in a function.
CREATE FUNCTION drop_day(p_table text, p_before date) RETURNS text
LANGUAGE plpgsql
SET lock_timeout = '50ms'
AS $$
DECLARE
  v_day text;
BEGIN
  SELECT c.relname INTO v_day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = p_table::regclass AND c.relname < p_table || '_' || to_char(p_before, 'YYYYMMDD')
  ORDER BY c.relname LIMIT 1;
  IF v_day IS NULL THEN
    RETURN 'none';
  END IF;
  BEGIN
    EXECUTE format('DROP TABLE day_partitions.%I', v_day);
  EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN 'busy';
  WHEN undefined_table THEN
    -- Another process has just dropped it.
    RETURN 'dropped';
  END;
  RETURN 'dropped';
END
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION drop_day(text, date) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION drop_day(text, date) TO worldkeep_jobs;
--> statement-breakpoint
-- See drop_day.
CREATE FUNCTION drop_event_day(p_before date) RETURNS text
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT drop_day('events', p_before) $$;
--> statement-breakpoint
-- Removes notes of removed objects whose seq is before p_before, world by world. p_from: the world to begin at, '' for the first.
CREATE FUNCTION clean_removals(p_before bigint, p_from text, p_limit integer, OUT removed integer, OUT next text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_world bigint := coalesce(nullif(p_from, '')::bigint, 0) - 1;
  v_count integer;
BEGIN
  removed := 0;
  FOR v_visit IN 1 .. 1000 LOOP
    -- The next world that has notes: one step in the index.
    SELECT r.world INTO v_world FROM object_removals r WHERE r.world > v_world ORDER BY r.world LIMIT 1;
    next := v_world;
    EXIT WHEN v_world IS NULL OR removed >= p_limit;
    DELETE FROM object_removals d WHERE d.ctid = ANY (ARRAY(
      SELECT r.ctid FROM object_removals r WHERE r.world = v_world AND r.seq < p_before
      LIMIT p_limit - removed FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    removed := removed + v_count;
    EXIT WHEN removed >= p_limit;
  END LOOP;
END
$$;
--> statement-breakpoint
-- Removes at most p_limit rows of a world that nothing names. The last thing to go is its number. Outcome: the number of rows.
CREATE FUNCTION clean_world(p_tenant text, p_space text, p_world bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
  v_removed integer;
  v_count integer;
BEGIN
  DELETE FROM world_objects d WHERE d.ctid = ANY (ARRAY(
    SELECT o.ctid FROM world_objects o WHERE o.world = p_world LIMIT p_limit FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  DELETE FROM object_removals d WHERE d.ctid = ANY (ARRAY(
    SELECT r.ctid FROM object_removals r WHERE r.world = p_world LIMIT p_limit - v_removed FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_removed := v_removed + v_count;
  IF v_removed < p_limit AND NOT EXISTS (SELECT FROM world_objects o WHERE o.world = p_world)
    AND NOT EXISTS (SELECT FROM object_removals r WHERE r.world = p_world) THEN
    DELETE FROM worlds w WHERE w.tenant_id = p_tenant AND w.space_id = p_space AND w.world = p_world;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_removed := v_removed + v_count;
  END IF;
  RETURN v_removed;
END
$$;
--> statement-breakpoint
-- Removes rows of worlds that no space and no stage names. It looks at 1,000 worlds and removes p_limit rows at most. p_from and next:
-- where to go on, as a list [tenant, space, world]; '' begins. A number is drawn and named in one transaction, so one that nothing names
-- here is never named again.
CREATE FUNCTION clean_worlds(p_from text, p_limit integer, OUT removed integer, OUT next text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_from json := coalesce(nullif(p_from, ''), '["", "", 0]');
  v_world worlds%ROWTYPE;
  v_count integer;
BEGIN
  removed := 0;
  FOR v_world IN
    SELECT * FROM worlds w
    WHERE (w.tenant_id, w.space_id, w.world) >= (v_from ->> 0, v_from ->> 1, (v_from ->> 2)::bigint)
    ORDER BY w.tenant_id, w.space_id, w.world LIMIT 1001
  LOOP
    v_count := coalesce(v_count, 0) + 1;
    next := json_build_array(v_world.tenant_id, v_world.space_id, v_world.world);
    EXIT WHEN v_count > 1000 OR removed >= p_limit;
    CONTINUE WHEN EXISTS (
      SELECT FROM spaces s
      WHERE s.tenant_id = v_world.tenant_id AND s.space_id = v_world.space_id AND s.world = v_world.world)
      OR EXISTS (
      SELECT FROM world_stages g
      WHERE g.tenant_id = v_world.tenant_id AND g.space_id = v_world.space_id AND g.world = v_world.world);
    removed := removed + clean_world(v_world.tenant_id, v_world.space_id, v_world.world, p_limit - removed);
    EXIT WHEN removed >= p_limit;
    next := NULL;
  END LOOP;
  IF removed < p_limit AND coalesce(v_count, 0) <= 1000 THEN
    next := NULL;
  END IF;
END
$$;
--> statement-breakpoint
-- Spaces that were deleted before p_before: at most p_limit of at most 1,000 tenants. deleted: [{tenantId, spaceId, incarnation}]. next: as
-- in clean_records.
CREATE FUNCTION list_deleted_spaces(p_before timestamptz, p_from text, p_limit integer, OUT deleted json, OUT next text)
LANGUAGE plpgsql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_count integer;
BEGIN
  SELECT coalesce(json_agg(json_build_object('tenantId', d.tenant_id, 'spaceId', d.space_id, 'incarnation', d.incarnation)), '[]'),
    count(*), max(d.tenant_id)
  INTO deleted, v_count, next
  FROM (
    SELECT s.* FROM (SELECT t.tenant_id FROM tenants t WHERE t.tenant_id >= p_from ORDER BY t.tenant_id LIMIT 1000) AS v
    CROSS JOIN LATERAL (
      SELECT s.tenant_id, s.space_id, s.incarnation FROM spaces s
      WHERE s.tenant_id = v.tenant_id AND s.deleted_at < p_before LIMIT p_limit
    ) AS s
    LIMIT p_limit
  ) AS d;
  IF v_count < p_limit THEN
    SELECT t.tenant_id INTO next FROM tenants t WHERE t.tenant_id >= p_from ORDER BY t.tenant_id OFFSET 1000 LIMIT 1;
  END IF;
END
$$;
--> statement-breakpoint
-- Removes at most p_limit rows of a deleted space. Its own row is the last to go, so that a run that was killed is repeated. The lock on
-- that row makes a space that is created again wait for one batch. Events, days and incidents of the space stay for their own time.
-- Outcomes: continues; gone; kept: the space is not this incarnation, not deleted, or in use. removed: the number of rows.
CREATE FUNCTION purge_space(
  p_tenant text, p_space text, p_incarnation text, p_before timestamptz, p_limit integer, OUT status text, OUT removed integer)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET lock_timeout = '100ms'
AS $$
DECLARE
  v_table text;
  v_world bigint;
  v_count integer;
BEGIN
  status := 'kept';
  removed := 0;
  PERFORM FROM spaces s
  WHERE s.tenant_id = p_tenant AND s.space_id = p_space AND s.incarnation = p_incarnation AND s.deleted_at < p_before
  FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  FOREACH v_table IN ARRAY ARRAY['log_spill', 'world_stages', 'sessions', 'space_members', 'space_assets', 'chat_messages',
    'write_results', 'written_objects', 'dead_letters']
  LOOP
    EXECUTE format(
      'DELETE FROM %1$I d WHERE d.ctid = ANY (ARRAY(SELECT r.ctid FROM %1$I r WHERE r.tenant_id = $1 AND r.space_id = $2 LIMIT $3))',
      v_table) USING p_tenant, p_space, p_limit - removed;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    removed := removed + v_count;
    IF removed >= p_limit THEN
      status := 'continues';
      RETURN;
    END IF;
  END LOOP;
  FOR v_world IN SELECT w.world FROM worlds w WHERE w.tenant_id = p_tenant AND w.space_id = p_space LIMIT p_limit LOOP
    removed := removed + clean_world(p_tenant, p_space, v_world, p_limit - removed);
    IF removed >= p_limit THEN
      status := 'continues';
      RETURN;
    END IF;
  END LOOP;
  IF EXISTS (SELECT FROM worlds w WHERE w.tenant_id = p_tenant AND w.space_id = p_space) THEN
    RETURN;
  END IF;
  -- A later space of this name begins at the time. It must not begin before the end of this one, so a cursor ahead of the time waits.
  DELETE FROM spaces s WHERE s.tenant_id = p_tenant AND s.space_id = p_space AND s.log_cursor < next_seq(0);
  IF FOUND THEN
    status := 'gone';
    removed := removed + 1;
  END IF;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
  status := 'kept';
  removed := 0;
END
$$;
--> statement-breakpoint
CREATE FUNCTION clean_job_runs(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_removed integer;
BEGIN
  DELETE FROM job_runs d WHERE d.run_id = ANY (ARRAY(
    SELECT o.run_id FROM unnest(ARRAY['drain', 'cleanup', 'refresh-views', 'seal-audit']) AS j (job)
    CROSS JOIN LATERAL (
      SELECT r.run_id FROM job_runs r WHERE r.job = j.job AND r.started_at < p_before LIMIT p_limit FOR UPDATE SKIP LOCKED
    ) AS o
    LIMIT p_limit));
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  RETURN v_removed;
END
$$;
--> statement-breakpoint
-- There is one row for each life of a Redis.
CREATE FUNCTION clean_event_logs(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_removed integer;
BEGIN
  DELETE FROM event_logs d WHERE d.log_name = ANY (ARRAY(
    SELECT l.log_name FROM event_logs l WHERE l.updated_at < p_before LIMIT p_limit FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  RETURN v_removed;
END
$$;
--> statement-breakpoint
-- Notes that a run of a job has begun. A run without an end is under way, or its process died.
CREATE FUNCTION start_job_run(p_run_id text, p_job text, p_started timestamptz) RETURNS void
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  INSERT INTO job_runs (run_id, job, started_at) VALUES (p_run_id, p_job, p_started)
$$;
--> statement-breakpoint
CREATE FUNCTION end_job_run(p_run_id text, p_failure text, p_counts jsonb, p_ended timestamptz) RETURNS void
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  UPDATE job_runs SET ended_at = p_ended, failure = p_failure, counts = p_counts WHERE run_id = p_run_id
$$;
--> statement-breakpoint
-- The newest p_limit runs of each job, the newest first.
CREATE FUNCTION list_job_runs(p_limit integer) RETURNS SETOF job_runs
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT o.* FROM unnest(ARRAY['drain', 'cleanup', 'refresh-views', 'seal-audit']) AS j (job)
  CROSS JOIN LATERAL (SELECT r.* FROM job_runs r WHERE r.job = j.job ORDER BY r.started_at DESC LIMIT p_limit) AS o
  ORDER BY o.started_at DESC
$$;
--> statement-breakpoint
-- clean_records has taken their place.
DROP FUNCTION sweep_all_log_records(integer, integer, integer);
--> statement-breakpoint
DROP FUNCTION sweep_log_records(text, integer, integer, integer);
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
DO $$
DECLARE
  v_function regprocedure;
  v_table regclass;
BEGIN
  FOREACH v_function IN ARRAY ARRAY[
    'clean_records(text, timestamptz, text, integer)', 'add_event_days(date, integer)', 'drop_event_day(date)',
    'clean_removals(bigint, text, integer)', 'clean_world(text, text, bigint, integer)', 'clean_worlds(text, integer)',
    'list_deleted_spaces(timestamptz, text, integer)', 'purge_space(text, text, text, timestamptz, integer)',
    'clean_job_runs(timestamptz, integer)', 'clean_event_logs(timestamptz, integer)', 'start_job_run(text, text, timestamptz)',
    'end_job_run(text, text, jsonb, timestamptz)', 'list_job_runs(integer)']::regprocedure[]
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
    -- Only the jobs call clean_world, which trusts its caller.
    IF v_function <> 'clean_world(text, text, bigint, integer)'::regprocedure THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO worldkeep_app', v_function);
    END IF;
    EXECUTE format('ALTER FUNCTION %s OWNER TO worldkeep_jobs', v_function);
  END LOOP;
  -- So that `SET ROLE worldkeep_jobs; VACUUM ANALYZE` reaches the tables. An older Postgres skips them with a warning.
  IF current_setting('server_version_num')::integer >= 170000 THEN
    FOR v_table IN
      SELECT c.oid FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'm') AND c.relowner <> 'worldkeep_jobs'::regrole
    LOOP
      EXECUTE format('GRANT MAINTAIN ON %s TO worldkeep_jobs', v_table);
    END LOOP;
    EXECUTE 'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT MAINTAIN ON TABLES TO worldkeep_jobs';
  END IF;
END
$$;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
