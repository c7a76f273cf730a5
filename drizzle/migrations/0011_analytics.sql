-- When each view of this file was last refreshed. Its rows are of the whole deployment.
CREATE TABLE view_refreshes (
  view_name text PRIMARY KEY,
  refreshed_at timestamp with time zone NOT NULL
);
--> statement-breakpoint
CALL protect_shared_table('view_refreshes');
--> statement-breakpoint
-- A concurrent refresh writes its differences into a temporary table. 0001 takes this right from everybody.
DO $$
BEGIN
  EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO worldkeep_jobs', current_database());
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING 'This role may not grant TEMPORARY on the database: its owner must grant it to worldkeep_jobs';
END
$$;
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
-- From here on worldkeep_jobs owns what is created. A refresh fills a view with the rows that its owner sees. Row security shows this role
-- all rows, and shows none to an owner of the tables without BYPASSRLS. A view has no row security itself, so the runtime role has no right
-- on it. It reads through the functions below.
SET ROLE worldkeep_jobs;
--> statement-breakpoint
-- The spaces as they are now.
CREATE MATERIALIZED VIEW space_statistics AS
SELECT s.tenant_id, s.space_id, s.name, o.objects, o.models, m.people, c.messages,
  to_timestamp(nullif(s.log_cursor, 0) / 1e6) AS last_change_at
FROM spaces s
CROSS JOIN LATERAL (
  SELECT count(*) AS objects, count(DISTINCT w.model_id) AS models FROM world_objects w WHERE w.world = s.world
) AS o
CROSS JOIN LATERAL (
  SELECT count(*) AS people FROM space_members p WHERE p.tenant_id = s.tenant_id AND p.space_id = s.space_id
) AS m
CROSS JOIN LATERAL (
  SELECT count(*) AS messages FROM chat_messages t
  WHERE t.tenant_id = s.tenant_id AND t.space_id = s.space_id AND t.deleted_at IS NULL
) AS c
WHERE s.deleted_at IS NULL;
--> statement-breakpoint
CREATE UNIQUE INDEX space_statistics_key ON space_statistics (tenant_id, space_id);
--> statement-breakpoint
-- Each day of each space, in UTC. `space_id` is empty for events that name no space.
CREATE MATERIALIZED VIEW daily_activity AS
SELECT tenant_id, day, space_id,
  coalesce(p.people, 0) AS people,
  coalesce(p.sessions, 0) AS sessions,
  coalesce(p.seconds, 0)::double precision / 60 AS minutes,
  coalesce(d.changes, 0) AS changes,
  coalesce(d.messages, 0) AS messages
FROM (
  SELECT tenant_id, day, space_id, count(*) AS people, sum(sessions) AS sessions, sum(seconds) AS seconds
  FROM person_days GROUP BY tenant_id, day, space_id
) AS p
FULL JOIN space_days d USING (tenant_id, day, space_id);
--> statement-breakpoint
CREATE UNIQUE INDEX daily_activity_key ON daily_activity (tenant_id, day, space_id);
--> statement-breakpoint
-- The models that the objects of worlds use now, by the day on which the object was created. A seq is microseconds since 1970.
CREATE MATERIALIZED VIEW popular_models AS
SELECT s.tenant_id, o.model_id, s.space_id, o.day, count(*) AS objects
FROM spaces s
CROSS JOIN LATERAL (
  SELECT w.model_id, (to_timestamp(coalesce(nullif(w.created_seq, 0), s.generation_seq) / 1e6) AT TIME ZONE 'UTC')::date AS day
  FROM world_objects w WHERE w.world = s.world AND w.model_id IS NOT NULL
) AS o
WHERE s.deleted_at IS NULL
GROUP BY s.tenant_id, o.model_id, s.space_id, o.day;
--> statement-breakpoint
CREATE UNIQUE INDEX popular_models_key ON popular_models (tenant_id, day, model_id, space_id);
--> statement-breakpoint
-- The people whose first day at the tenant is this day, and how many of them were there 1, 7 and 30 days later. NULL: that day is not over.
CREATE MATERIALIZED VIEW retention AS
WITH days AS (
  SELECT DISTINCT tenant_id, user_id, day FROM person_days
), since_first AS (
  SELECT tenant_id, day - first_value(day) OVER later AS later, first_value(day) OVER later AS day
  FROM days WINDOW later AS (PARTITION BY tenant_id, user_id ORDER BY day)
), today AS (
  SELECT (now() AT TIME ZONE 'UTC')::date AS day
)
SELECT f.tenant_id, f.day,
  count(*) FILTER (WHERE f.later = 0) AS people,
  CASE WHEN f.day + 1 < t.day THEN count(*) FILTER (WHERE f.later = 1) END AS day1,
  CASE WHEN f.day + 7 < t.day THEN count(*) FILTER (WHERE f.later = 7) END AS day7,
  CASE WHEN f.day + 30 < t.day THEN count(*) FILTER (WHERE f.later = 30) END AS day30
FROM since_first f, today t
GROUP BY f.tenant_id, f.day, t.day;
--> statement-breakpoint
CREATE UNIQUE INDEX retention_key ON retention (tenant_id, day);
--> statement-breakpoint
-- The most sessions that were open at one time of a day. Each space has a mark at the start of each day, so that a session counts on every
-- day that it reaches into. At one instant sessions end before others begin. If more have ended than begun, the missing ones began before
-- the oldest event.
CREATE MATERIALIZED VIEW peak_presence AS
WITH steps AS (
  SELECT tenant_id, space_id, at, CASE type WHEN 'session.start' THEN 1 ELSE -1 END AS step
  FROM events WHERE type IN ('session.start', 'session.end') AND space_id IS NOT NULL
), marked AS (
  SELECT tenant_id, space_id, at, step FROM steps
  UNION ALL
  SELECT f.tenant_id, f.space_id, mark AT TIME ZONE 'UTC', 0
  FROM (SELECT tenant_id, space_id, min(at AT TIME ZONE 'UTC') AS first FROM steps GROUP BY tenant_id, space_id) AS f
  CROSS JOIN LATERAL generate_series(date_trunc('day', f.first), now() AT TIME ZONE 'UTC', interval '1 day') AS mark
), levels AS (
  SELECT tenant_id, space_id, (at AT TIME ZONE 'UTC')::date AS day,
    sum(step) OVER (PARTITION BY tenant_id, space_id ORDER BY at, step ROWS UNBOUNDED PRECEDING) AS level
  FROM marked
), days AS (
  SELECT tenant_id, space_id, day, max(level) AS highest, min(level) AS lowest FROM levels GROUP BY tenant_id, space_id, day
), counted AS (
  SELECT tenant_id, day, space_id,
    (highest + greatest(0, -min(lowest) OVER (PARTITION BY tenant_id, space_id)))::integer AS peak
  FROM days
)
SELECT tenant_id, day, space_id, peak FROM counted WHERE peak > 0;
--> statement-breakpoint
CREATE UNIQUE INDEX peak_presence_key ON peak_presence (tenant_id, day, space_id);
--> statement-breakpoint
-- Refreshes one view; its readers do not wait, and see the old rows until this transaction commits. Outcome: false if another transaction
-- refreshes it now.
CREATE FUNCTION refresh_view(p_view text) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  IF p_view NOT IN ('space_statistics', 'daily_activity', 'popular_models', 'retention', 'peak_presence') THEN
    RAISE EXCEPTION 'there is no such view' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('worldkeep refreshes ' || p_view, 0)) THEN
    RETURN false;
  END IF;
  EXECUTE format('REFRESH MATERIALIZED VIEW CONCURRENTLY public.%I', p_view);
  INSERT INTO view_refreshes AS r (view_name, refreshed_at) VALUES (p_view, now())
  ON CONFLICT (view_name) DO UPDATE SET refreshed_at = excluded.refreshed_at;
  RETURN true;
END
$$;
--> statement-breakpoint
-- Refreshes all views in one transaction. Outcome: false if another transaction refreshes one of them now; the others are refreshed.
CREATE FUNCTION refresh_all_materialized_views() RETURNS boolean
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT bool_and(refresh_view(v.name))
  FROM unnest(ARRAY['space_statistics', 'daily_activity', 'popular_models', 'retention', 'peak_presence']) AS v (name)
$$;
--> statement-breakpoint
-- When a view was last refreshed; NULL: never since the migration.
CREATE FUNCTION view_refreshed_at(p_view text) RETURNS timestamp with time zone
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT r.refreshed_at FROM view_refreshes r WHERE r.view_name = p_view $$;
--> statement-breakpoint
-- The functions below are the only way to the views. Each shows the rows of the transaction's tenant, and none without a tenant.
CREATE FUNCTION read_activity(p_from date, p_to date, p_limit integer)
RETURNS TABLE (day date, space_id text, people bigint, sessions bigint, minutes double precision, changes bigint, messages bigint, peak integer)
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT day, space_id, coalesce(a.people, 0), coalesce(a.sessions, 0), coalesce(a.minutes, 0), coalesce(a.changes, 0),
    coalesce(a.messages, 0), p.peak
  FROM (
    SELECT * FROM daily_activity v WHERE v.tenant_id = current_tenant() AND v.day BETWEEN p_from AND p_to
  ) AS a
  FULL JOIN (
    SELECT v.day, v.space_id, v.peak FROM peak_presence v WHERE v.tenant_id = current_tenant() AND v.day BETWEEN p_from AND p_to
  ) AS p USING (day, space_id)
  ORDER BY day, space_id LIMIT p_limit
$$;
--> statement-breakpoint
-- Each space that exists, or that somebody used in the span. A person counts once, so people come from the days of people.
CREATE FUNCTION read_spaces(p_from date, p_to date, p_limit integer)
RETURNS TABLE (
  space_id text, name text, people bigint, sessions bigint, minutes double precision, changes bigint, messages bigint, peak integer,
  objects bigint, last_change_at timestamp with time zone)
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT space_id, s.name, coalesce(p.people, 0), coalesce(a.sessions, 0), coalesce(a.minutes, 0), coalesce(a.changes, 0),
    coalesce(a.messages, 0), k.peak, s.objects, s.last_change_at
  FROM (
    SELECT v.space_id, v.name, v.objects, v.last_change_at FROM space_statistics v WHERE v.tenant_id = current_tenant()
  ) AS s
  FULL JOIN (
    SELECT v.space_id, sum(v.sessions)::bigint AS sessions, sum(v.minutes) AS minutes, sum(v.changes)::bigint AS changes,
      sum(v.messages)::bigint AS messages
    FROM daily_activity v WHERE v.tenant_id = current_tenant() AND v.day BETWEEN p_from AND p_to GROUP BY v.space_id
  ) AS a USING (space_id)
  LEFT JOIN (
    SELECT d.space_id, count(DISTINCT d.user_id) AS people
    FROM person_days d WHERE d.tenant_id = current_tenant() AND d.day BETWEEN p_from AND p_to GROUP BY d.space_id
  ) AS p USING (space_id)
  LEFT JOIN (
    SELECT v.space_id, max(v.peak) AS peak
    FROM peak_presence v WHERE v.tenant_id = current_tenant() AND v.day BETWEEN p_from AND p_to GROUP BY v.space_id
  ) AS k USING (space_id)
  ORDER BY coalesce(p.people, 0) DESC, coalesce(a.changes, 0) DESC, space_id LIMIT p_limit
$$;
--> statement-breakpoint
-- The models of objects that were created in the span and still exist. `name` is NULL if the library does not have the model.
CREATE FUNCTION read_models(p_from date, p_to date, p_limit integer)
RETURNS TABLE (model_id text, name text, objects bigint, spaces bigint)
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT v.model_id, m.name, v.objects, v.spaces
  FROM (
    SELECT p.model_id, sum(p.objects)::bigint AS objects, count(DISTINCT p.space_id) AS spaces
    FROM popular_models p WHERE p.tenant_id = current_tenant() AND p.day BETWEEN p_from AND p_to GROUP BY p.model_id
    ORDER BY 2 DESC, 1 LIMIT p_limit
  ) AS v
  LEFT JOIN uploaded_models m ON m.tenant_id = current_tenant() AND m.model_id = v.model_id
  ORDER BY v.objects DESC, v.model_id
$$;
--> statement-breakpoint
CREATE FUNCTION read_retention(p_from date, p_to date, p_limit integer)
RETURNS TABLE (day date, people bigint, day1 bigint, day7 bigint, day30 bigint)
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT v.day, v.people, v.day1, v.day7, v.day30
  FROM retention v WHERE v.tenant_id = current_tenant() AND v.day BETWEEN p_from AND p_to
  ORDER BY v.day LIMIT p_limit
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION refresh_view(text), refresh_all_materialized_views(), view_refreshed_at(text),
  read_activity(date, date, integer), read_spaces(date, date, integer), read_models(date, date, integer),
  read_retention(date, date, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION refresh_view(text), refresh_all_materialized_views(), view_refreshed_at(text),
  read_activity(date, date, integer), read_spaces(date, date, integer), read_models(date, date, integer),
  read_retention(date, date, integer) TO worldkeep_app;
--> statement-breakpoint
RESET ROLE;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
