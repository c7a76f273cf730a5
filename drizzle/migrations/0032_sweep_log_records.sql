-- Removes what a tenant's logs left behind and nobody asks for any more: results older than p_results_seconds, dead letters
-- older than p_dead_days, incidents older than 90 days. How many rows went.
CREATE FUNCTION sweep_log_records(p_tenant text, p_results_seconds integer, p_dead_days integer) RETURNS bigint
LANGUAGE sql
AS $$
  WITH answered AS (
    DELETE FROM write_results
    WHERE tenant_id = p_tenant AND created_at < now() - make_interval(secs => p_results_seconds) RETURNING 1
  ), buried AS (
    DELETE FROM dead_letters
    WHERE tenant_id = p_tenant AND created_at < now() - make_interval(days => p_dead_days) RETURNING 1
  ), noted AS (
    DELETE FROM incidents WHERE tenant_id = p_tenant AND created_at < now() - interval '90 days' RETURNING 1
  )
  SELECT (SELECT count(*) FROM answered) + (SELECT count(*) FROM buried) + (SELECT count(*) FROM noted)
$$;
--> statement-breakpoint
-- The same for all tenants, one after the other by their indexes.
CREATE FUNCTION sweep_all_log_records(p_results_seconds integer, p_dead_days integer) RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT coalesce(sum(sweep_log_records(t.tenant_id, p_results_seconds, p_dead_days)), 0)::bigint FROM tenants t
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION sweep_all_log_records(integer, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION sweep_all_log_records(integer, integer) TO worldkeep_app;
--> statement-breakpoint
-- Who is given a function must be allowed to make one there, for as long as that takes.
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION sweep_all_log_records(integer, integer) OWNER TO worldkeep_jobs;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
