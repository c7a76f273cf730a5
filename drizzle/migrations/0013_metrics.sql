-- The counts of the whole deployment where no Redis is configured. Only functions use these two tables, so they are in a migration only.
CREATE TABLE metric_counts (
  field text COLLATE "C" PRIMARY KEY,
  count bigint NOT NULL
);
--> statement-breakpoint
-- Many processes change the same few rows every ten seconds: room on their pages keeps the table small.
ALTER TABLE metric_counts SET (fillfactor = 50);
--> statement-breakpoint
-- Flushes of processes that were added: a repeat adds nothing.
CREATE TABLE metric_flushes (
  token text COLLATE "C" PRIMARY KEY,
  created_at timestamp with time zone NOT NULL DEFAULT now()
);
--> statement-breakpoint
CREATE INDEX metric_flushes_oldest ON metric_flushes (created_at);
--> statement-breakpoint
CALL protect_shared_table('metric_counts');
--> statement-breakpoint
CALL protect_shared_table('metric_flushes');
--> statement-breakpoint
CREATE INDEX incidents_by_kind ON incidents (kind);
--> statement-breakpoint
CREATE INDEX dead_letters_open ON dead_letters (tenant_id) WHERE replayed_at IS NULL;
--> statement-breakpoint
-- Adds the counts of one flush. p_counts: {field: number}. p_seconds: for which a flush is known. Outcome: false for a repeat.
-- The fields are sorted, so that two flushes never wait for each other.
CREATE FUNCTION add_metric_counts(p_token text, p_counts json, p_seconds integer) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  INSERT INTO metric_flushes (token) VALUES (p_token) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM metric_flushes WHERE token IN (
    SELECT f.token FROM metric_flushes f WHERE f.created_at < now() - make_interval(secs => p_seconds)
    LIMIT 100 FOR UPDATE SKIP LOCKED);
  INSERT INTO metric_counts AS c (field, count)
  SELECT e.key, e.value::bigint FROM json_each_text(p_counts) AS e ORDER BY e.key COLLATE "C"
  ON CONFLICT (field) DO UPDATE SET count = c.count + excluded.count;
  RETURN true;
END
$$;
--> statement-breakpoint
CREATE FUNCTION read_metric_counts() RETURNS TABLE (field text, count bigint)
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT c.field, c.count FROM metric_counts c $$;
--> statement-breakpoint
-- The part of a scrape that Postgres knows: a metric, its label ('' for none) and a value. Each part reads at most p_rows rows, or one row for each
-- job, so that a scrape costs the same however much there is.
CREATE FUNCTION read_metric_gauges(p_rows integer) RETURNS TABLE (metric text, label text, value double precision)
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT 'worldkeep_dead_letters', '', count(*)
  FROM (SELECT FROM dead_letters d WHERE d.replayed_at IS NULL LIMIT p_rows) AS letters
  UNION ALL
  -- Each kind for itself: many incidents of one kind hide no other.
  SELECT 'worldkeep_incidents', k.kind, (SELECT count(*) FROM (SELECT FROM incidents n WHERE n.kind = k.kind LIMIT p_rows) AS i)
  FROM unnest(ARRAY['log_lost', 'log_gap', 'redis_restarted', 'reader_ahead']) AS k (kind)
  UNION ALL
  SELECT 'worldkeep_spilled_requests', '', count(*) FROM (SELECT FROM log_spill LIMIT p_rows) AS requests
  UNION ALL
  SELECT 'worldkeep_asset_bytes', '', coalesce(sum(t.bytes), 0) FROM (SELECT f.bytes FROM file_totals f LIMIT p_rows) AS t
  UNION ALL
  (
    -- The jobs that have ever run, each found by one step in the index.
    WITH RECURSIVE jobs (job) AS (
      SELECT min(r.job) FROM job_runs r
      UNION ALL
      SELECT (SELECT min(r.job) FROM job_runs r WHERE r.job > jobs.job) FROM jobs WHERE jobs.job IS NOT NULL
    )
    SELECT m.metric, j.job, m.value
    FROM jobs j
    LEFT JOIN LATERAL (
      SELECT r.started_at FROM job_runs r
      WHERE r.job = j.job AND r.ended_at IS NOT NULL AND r.failure IS NULL ORDER BY r.started_at DESC LIMIT 1
    ) AS success ON true
    LEFT JOIN LATERAL (
      SELECT r.failure FROM job_runs r
      WHERE r.job = j.job AND r.ended_at IS NOT NULL ORDER BY r.started_at DESC LIMIT 1
    ) AS newest ON true
    CROSS JOIN LATERAL (VALUES
      ('worldkeep_job_last_success_timestamp_seconds', coalesce(extract(epoch FROM success.started_at), 0)),
      ('worldkeep_job_last_failed', (newest.failure IS NOT NULL)::integer)
    ) AS m (metric, value)
    WHERE j.job IS NOT NULL
  )
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION add_metric_counts(text, json, integer), read_metric_counts(), read_metric_gauges(integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION add_metric_counts(text, json, integer), read_metric_counts(), read_metric_gauges(integer) TO worldkeep_app;
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION add_metric_counts(text, json, integer) OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION read_metric_counts() OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION read_metric_gauges(integer) OWNER TO worldkeep_jobs;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
