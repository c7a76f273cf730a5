-- Who changed what. The runtime role reads its tenant's rows; only triggers and jobs write here, as worldkeep_jobs. A day is one partition.
-- `at`: the beginning of the transaction. `xid`: the transaction, so that a seal knows which rows are there for good.
-- `actor`: a person or a key, with the request; NULL for neither. `user_id`: the person whom the row is about. `old`, `new`: an insert has
-- no old, a delete no new, an update only the columns that changed.
-- Erasing a person removes the salt and its text, and keeps the hash that audit_content_hash or audit_actor_hash had.
CREATE SEQUENCE audit_ids;
--> statement-breakpoint
CREATE TABLE audit_entries (
  tenant_id text COLLATE "C" NOT NULL,
  audit_id bigint NOT NULL DEFAULT nextval('audit_ids'),
  at timestamp with time zone NOT NULL DEFAULT now(),
  xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
  actor text COLLATE "C",
  request_id text,
  table_name text COLLATE "C" NOT NULL,
  -- insert, update, delete, replace or erase.
  action text NOT NULL,
  space_id text COLLATE "C",
  object_id text COLLATE "C",
  user_id text COLLATE "C",
  old jsonb,
  new jsonb,
  actor_salt uuid DEFAULT gen_random_uuid(),
  actor_hash bytea,
  content_salt uuid DEFAULT gen_random_uuid(),
  content_hash bytea
) PARTITION BY RANGE (at);
--> statement-breakpoint
CREATE INDEX audit_newest ON audit_entries (tenant_id, at, audit_id);
--> statement-breakpoint
-- The hash of who made a change. JSON, so that no two rows give the same bytes. An erased row has its hash stored.
CREATE FUNCTION audit_actor_hash(e audit_entries) RETURNS bytea
LANGUAGE sql STABLE
AS $$
  SELECT coalesce(e.actor_hash, sha256(convert_to(jsonb_build_array(e.actor_salt, e.actor, e.request_id)::text, 'UTF8')))
$$;
--> statement-breakpoint
-- The hash of what was changed.
CREATE FUNCTION audit_content_hash(e audit_entries) RETURNS bytea
LANGUAGE sql STABLE
AS $$
  SELECT coalesce(e.content_hash, sha256(convert_to(
    jsonb_build_array(e.content_salt, e.table_name, e.action, e.space_id, e.object_id, e.user_id, e.old, e.new)::text, 'UTF8')))
$$;
--> statement-breakpoint
-- The hash of a row, which a seal keeps. Erasing a person does not change it.
CREATE FUNCTION audit_hash(e audit_entries) RETURNS bytea
LANGUAGE sql STABLE
AS $$
  SELECT sha256(
    convert_to(jsonb_build_array(e.tenant_id, e.audit_id, (extract(epoch FROM e.at) * 1000000)::bigint, e.xid)::text, 'UTF8')
    || audit_actor_hash(e) || audit_content_hash(e))
$$;
--> statement-breakpoint
CALL protect_tenant_table('audit_entries', 'SELECT');
--> statement-breakpoint
GRANT INSERT ON audit_entries TO worldkeep_jobs;
--> statement-breakpoint
GRANT USAGE ON SEQUENCE audit_ids TO worldkeep_jobs;
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER TABLE audit_entries OWNER TO worldkeep_jobs;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
--> statement-breakpoint
SET LOCAL ROLE worldkeep_jobs;
--> statement-breakpoint
SELECT add_day('audit_entries', (now() AT TIME ZONE 'UTC')::date + d) FROM generate_series(0, 7) AS d;
--> statement-breakpoint
RESET ROLE;
