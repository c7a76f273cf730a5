CREATE TABLE "written_objects" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"object_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"created_seq" bigint NOT NULL,
	"position_x" double precision NOT NULL,
	"position_y" double precision NOT NULL,
	"position_z" double precision NOT NULL,
	"rotation_x" double precision NOT NULL,
	"rotation_y" double precision NOT NULL,
	"rotation_z" double precision NOT NULL,
	"rotation_w" double precision NOT NULL,
	"scale_x" double precision NOT NULL,
	"scale_y" double precision NOT NULL,
	"scale_z" double precision NOT NULL,
	"name" text,
	"model_id" text COLLATE "C",
	"parent_id" text COLLATE "C",
	"created_by" text COLLATE "C",
	"updated_by" text COLLATE "C",
	"properties" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "written_objects_tenant_id_space_id_seq_pk" PRIMARY KEY("tenant_id","space_id","seq")
);
--> statement-breakpoint
CALL protect_tenant_table('written_objects', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
-- Stores objects as the entries at p_seqs left them, for the callers that wait for those answers. An object that has another
-- seq now is left out. No caller waits longer than a minute: older rows of the space go.
CREATE FUNCTION keep_written(p_space text, p_generation bigint, p_seqs bigint[], p_ids text[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
BEGIN
  INSERT INTO written_objects (
    tenant_id, space_id, object_id, seq, created_seq, position_x, position_y, position_z,
    rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z,
    name, model_id, parent_id, created_by, updated_by, properties)
  SELECT
    o.tenant_id, o.space_id, o.object_id, o.seq, o.created_seq, o.position_x, o.position_y, o.position_z,
    o.rotation_x, o.rotation_y, o.rotation_z, o.rotation_w, o.scale_x, o.scale_y, o.scale_z,
    o.name, o.model_id, o.parent_id, o.created_by, o.updated_by, o.properties
  FROM unnest(p_seqs, p_ids) AS c (seq, id)
  CROSS JOIN LATERAL (
    SELECT w.* FROM world_objects w
    WHERE w.tenant_id = v_tenant AND w.space_id = p_space AND w.generation = p_generation AND w.object_id = c.id
      AND w.seq = c.seq
    OFFSET 0
  ) AS o
  ON CONFLICT (tenant_id, space_id, seq) DO NOTHING;
  DELETE FROM written_objects w
  WHERE w.tenant_id = v_tenant AND w.space_id = p_space AND w.seq < (SELECT max(s) FROM unnest(p_seqs) AS s) - 60000000;
END
$$;
--> statement-breakpoint
-- Removes what a tenant's logs left behind and nobody asks for any more: results older than p_results_seconds, dead letters
-- older than p_dead_days, incidents older than 90 days, objects as writes left them older than a minute. How many rows went.
CREATE OR REPLACE FUNCTION sweep_log_records(p_tenant text, p_results_seconds integer, p_dead_days integer) RETURNS bigint
LANGUAGE sql
AS $$
  WITH answered AS (
    DELETE FROM write_results
    WHERE tenant_id = p_tenant AND created_at < now() - make_interval(secs => p_results_seconds) RETURNING 1
  ), written AS (
    DELETE FROM written_objects
    WHERE tenant_id = p_tenant AND created_at < now() - interval '1 minute' RETURNING 1
  ), buried AS (
    DELETE FROM dead_letters
    WHERE tenant_id = p_tenant AND created_at < now() - make_interval(days => p_dead_days) RETURNING 1
  ), noted AS (
    DELETE FROM incidents WHERE tenant_id = p_tenant AND created_at < now() - interval '90 days' RETURNING 1
  )
  SELECT (SELECT count(*) FROM answered) + (SELECT count(*) FROM written) + (SELECT count(*) FROM buried)
    + (SELECT count(*) FROM noted)
$$;
