-- The audit: who changed what. The runtime role reads its tenant's rows; only triggers and jobs write here, as worldkeep_jobs. A day is one partition.
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
-- For the changes of one object, and of one person or key: nobody reads a whole day of a large tenant for them.
CREATE INDEX audit_of_object ON audit_entries (tenant_id, object_id, at, audit_id);
--> statement-breakpoint
CREATE INDEX audit_of_actor ON audit_entries (tenant_id, actor, at, audit_id);
--> statement-breakpoint
-- The hash of the actor of a change. JSON, so that no two rows give the same bytes. An erased row has its hash stored.
CREATE FUNCTION audit_actor_hash(e audit_entries) RETURNS bytea
LANGUAGE sql STABLE
AS $$
  SELECT coalesce(e.actor_hash, sha256(convert_to(jsonb_build_array(e.actor_salt, e.actor, e.request_id)::text, 'UTF8')))
$$;
--> statement-breakpoint
-- The hash of the content of a change.
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
--> statement-breakpoint
-- How many days an audit row is kept. Only the owner of the database can change it: CREATE OR REPLACE FUNCTION, with another number.
CREATE FUNCTION audit_retention_days() RETURNS integer
LANGUAGE sql IMMUTABLE
AS $$ SELECT 400 $$;
--> statement-breakpoint
-- Adds the partitions of today and of the next week. @returns how many were not there.
CREATE FUNCTION add_audit_days() RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_added integer := 0;
BEGIN
  FOR i IN 0 .. 7 LOOP
    v_added := v_added + add_day('audit_entries', (now() AT TIME ZONE 'UTC')::date + i)::integer;
  END LOOP;
  RETURN v_added;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END
$$;
--> statement-breakpoint
-- Drops the oldest day that is over its time; see drop_day. The caller cannot choose that time.
CREATE FUNCTION drop_audit_day() RETURNS text
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT drop_day('audit_entries', (now() AT TIME ZONE 'UTC')::date - audit_retention_days()) $$;
--> statement-breakpoint
-- Finds the space of a world.
CREATE INDEX spaces_by_world ON spaces (world);
--> statement-breakpoint
-- The actor of changes in this transaction. app.actor and app.request_id: of the caller, '' for nobody. app.origins: a batch_origins, '' outside of a batch.
-- A role that named no actor, or that is neither the runtime role nor a member of it, is the actor itself. No id has a slash.
CREATE TYPE audit_origin AS (is_batch boolean, actor text, request_id text, origins batch_origins);
--> statement-breakpoint
CREATE FUNCTION read_audit_origin() RETURNS audit_origin
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  v_origins text := nullif(current_setting('app.origins', true), '');
BEGIN
  IF current_setting('app.actor', true) IS NULL OR (session_user <> 'worldkeep_app' AND (
    NOT pg_has_role(session_user, 'worldkeep_app', 'USAGE') OR (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user)))
  THEN
    RETURN ROW(false, 'role/' || session_user, NULL, NULL)::audit_origin;
  END IF;
  IF v_origins IS NOT NULL THEN
    RETURN ROW(true, NULL, NULL, v_origins::batch_origins)::audit_origin;
  END IF;
  RETURN ROW(
    false, nullif(current_setting('app.actor'), ''), nullif(current_setting('app.request_id', true), ''), NULL)::audit_origin;
END
$$;
--> statement-breakpoint
-- The origin of each seq of a batch. The seqs of one actor have the same salt.
CREATE FUNCTION list_batch_origins(p_origins batch_origins) RETURNS TABLE (seq bigint, actor text, request_id text, actor_salt uuid)
LANGUAGE sql STABLE
AS $$
  SELECT s.seq, a.name, s.request_id, a.salt
  FROM unnest(p_origins.seqs, p_origins.authors, p_origins.requests) AS s (seq, author, request_id)
  LEFT JOIN (
    SELECT n.name, n.place, gen_random_uuid() AS salt FROM unnest(p_origins.names) WITH ORDINALITY AS n (name, place)
  ) AS a ON a.place = s.author
$$;
--> statement-breakpoint
-- Adds the partition of today where it is missing, because no cleanup has run for a week. Another process may be adding it too, or may hold
-- the parent for longer than one try waits.
CREATE FUNCTION need_audit_day() RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  v_day date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
  FOR i IN 1 .. 100 LOOP
    EXIT WHEN to_regclass('day_partitions.audit_entries_' || to_char(v_day, 'YYYYMMDD')) IS NOT NULL;
    BEGIN
      PERFORM add_day('audit_entries', v_day);
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END LOOP;
  -- Without this, the missing partition would look like a row that no table can hold, and a batch would give its operations up.
  IF to_regclass('day_partitions.audit_entries_' || to_char(v_day, 'YYYYMMDD')) IS NULL THEN
    RAISE EXCEPTION 'nobody could add the partition of % to audit_entries', v_day USING ERRCODE = 'lock_not_available';
  END IF;
END
$$;
--> statement-breakpoint
-- The members of `a` that `b` lacks, or has with another value.
CREATE FUNCTION audit_difference(a jsonb, b jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE
AS $$
  SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(a) AS e WHERE e.value IS DISTINCT FROM b -> e.key
$$;
--> statement-breakpoint
-- The numbers of an object's place that differ from another place. STABLE, as jsonb_build_object is: else Postgres would not inline it.
CREATE FUNCTION audit_place(
  position_x float8, other_position_x float8, position_y float8, other_position_y float8, position_z float8, other_position_z float8,
  rotation_x float8, other_rotation_x float8, rotation_y float8, other_rotation_y float8, rotation_z float8, other_rotation_z float8, rotation_w float8, other_rotation_w float8,
  scale_x float8, other_scale_x float8, scale_y float8, other_scale_y float8, scale_z float8, other_scale_z float8
) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object(
    'position_x', CASE WHEN position_x <> other_position_x THEN position_x END,
    'position_y', CASE WHEN position_y <> other_position_y THEN position_y END,
    'position_z', CASE WHEN position_z <> other_position_z THEN position_z END,
    'rotation_x', CASE WHEN rotation_x <> other_rotation_x THEN rotation_x END,
    'rotation_y', CASE WHEN rotation_y <> other_rotation_y THEN rotation_y END,
    'rotation_z', CASE WHEN rotation_z <> other_rotation_z THEN rotation_z END,
    'rotation_w', CASE WHEN rotation_w <> other_rotation_w THEN rotation_w END,
    'scale_x', CASE WHEN scale_x <> other_scale_x THEN scale_x END,
    'scale_y', CASE WHEN scale_y <> other_scale_y THEN scale_y END,
    'scale_z', CASE WHEN scale_z <> other_scale_z THEN scale_z END))
$$;
--> statement-breakpoint
-- The columns that an insert or a delete of an object stores.
CREATE FUNCTION audit_object(
  name text, model_id text, parent_id text, properties jsonb, position_x float8, position_y float8, position_z float8,
  rotation_x float8, rotation_y float8, rotation_z float8, rotation_w float8, scale_x float8, scale_y float8, scale_z float8
) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
  SELECT jsonb_build_object(
    'name', name, 'model_id', model_id, 'parent_id', parent_id, 'properties', properties,
    'position_x', position_x, 'position_y', position_y, 'position_z', position_z,
    'rotation_x', rotation_x, 'rotation_y', rotation_y, 'rotation_z', rotation_z, 'rotation_w', rotation_w,
    'scale_x', scale_x, 'scale_y', scale_y, 'scale_z', scale_z)
$$;
--> statement-breakpoint
-- Rows of a space that is deleted, or is not there, are only cleaned up. p_space NULL: the row is of no space.
CREATE FUNCTION is_audited_space(p_tenant text, p_space text) RETURNS boolean
LANGUAGE sql STABLE
AS $$
  SELECT p_space IS NULL OR EXISTS (
    SELECT FROM spaces s WHERE s.tenant_id = p_tenant AND s.space_id = p_space AND s.deleted_at IS NULL)
$$;
--> statement-breakpoint
-- The functions of the triggers. One INSERT writes the audit rows of a statement. They run as worldkeep_jobs, who alone may write there.
-- They set the planner's settings themselves, because a batch forbids the joins that they need. Changed rows are joined by hash: a kept
-- plan does not know how many rows the next statement has. In a statement, the rows of one actor share the salt of the actor. Erasing that
-- person removes it from all of them, and a random salt costs as much as an entry of an index.
-- Objects. There are no rows for a world that no space names: what is staged, or was replaced. An update stores the columns that changed,
-- without the place if app.audit_moves is off. Of the properties it stores the members that changed.
CREATE FUNCTION audit_objects() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = on
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
  v_worlds bigint[];
  v_world bigint;
  v_tenant text;
  v_space text;
  v_origin audit_origin;
  v_origins batch_origins;
  v_salt uuid := gen_random_uuid();
  v_xid bigint := pg_current_xact_id()::text::bigint;
  v_moves boolean := current_setting('app.audit_moves', true) IS DISTINCT FROM 'off';
BEGIN
  IF TG_OP = 'INSERT' THEN
    v_worlds := ARRAY(SELECT DISTINCT n.world FROM new_rows n);
  ELSIF TG_OP = 'DELETE' THEN
    v_worlds := ARRAY(SELECT DISTINCT o.world FROM old_rows o);
  ELSE
    v_worlds := ARRAY(SELECT o.world FROM old_rows o UNION SELECT n.world FROM new_rows n);
  END IF;
  FOREACH v_world IN ARRAY v_worlds LOOP
    SELECT s.tenant_id, s.space_id INTO v_tenant, v_space FROM spaces s WHERE s.world = v_world;
    CONTINUE WHEN NOT FOUND;
    PERFORM need_audit_day();
    v_origin := read_audit_origin();
    v_origins := v_origin.origins;
    IF TG_OP = 'INSERT' THEN
      INSERT INTO audit_entries (tenant_id, xid, actor_salt, actor, request_id, table_name, action, space_id, object_id, new)
      SELECT v_tenant,
        v_xid, coalesce(r.actor_salt, v_salt), coalesce(r.actor, v_origin.actor), coalesce(r.request_id, v_origin.request_id),
        'world_objects', 'insert', v_space, n.object_id, audit_object(
          n.name, n.model_id, n.parent_id, n.properties, n.position_x, n.position_y, n.position_z,
          n.rotation_x, n.rotation_y, n.rotation_z, n.rotation_w, n.scale_x, n.scale_y, n.scale_z)
      FROM new_rows n
      LEFT JOIN unnest(v_origins.object_ids, v_origins.object_seqs) AS x (id, seq) ON x.id = n.object_id
      LEFT JOIN list_batch_origins(v_origins) AS r ON r.seq = coalesce(x.seq, n.seq)
      WHERE n.world = v_world;
    ELSIF TG_OP = 'DELETE' THEN
      INSERT INTO audit_entries (tenant_id, xid, actor_salt, actor, request_id, table_name, action, space_id, object_id, old)
      SELECT v_tenant,
        v_xid, coalesce(r.actor_salt, v_salt), coalesce(r.actor, v_origin.actor), coalesce(r.request_id, v_origin.request_id),
        'world_objects', 'delete', v_space, o.object_id, audit_object(
          o.name, o.model_id, o.parent_id, o.properties, o.position_x, o.position_y, o.position_z,
          o.rotation_x, o.rotation_y, o.rotation_z, o.rotation_w, o.scale_x, o.scale_y, o.scale_z)
      FROM old_rows o
      LEFT JOIN unnest(v_origins.object_ids, v_origins.object_seqs) AS x (id, seq) ON x.id = o.object_id
      LEFT JOIN list_batch_origins(v_origins) AS r ON r.seq = x.seq
      WHERE o.world = v_world;
    ELSE
      INSERT INTO audit_entries (tenant_id, xid, actor_salt, actor, request_id, table_name, action, space_id, object_id, old, new)
      SELECT v_tenant,
        v_xid, coalesce(r.actor_salt, v_salt), coalesce(r.actor, v_origin.actor), coalesce(r.request_id, v_origin.request_id),
        'world_objects', CASE WHEN o.object_id IS NULL THEN 'insert' WHEN n.object_id IS NULL THEN 'delete' ELSE 'update' END,
        v_space, coalesce(n.object_id, o.object_id),
        CASE
          WHEN o.object_id IS NULL THEN NULL
          WHEN n.object_id IS NULL THEN audit_object(
            o.name, o.model_id, o.parent_id, o.properties, o.position_x, o.position_y, o.position_z,
            o.rotation_x, o.rotation_y, o.rotation_z, o.rotation_w, o.scale_x, o.scale_y, o.scale_z)
          ELSE CASE WHEN o.name IS NOT DISTINCT FROM n.name THEN '{}' ELSE jsonb_build_object('name', o.name) END
            || CASE WHEN o.model_id IS NOT DISTINCT FROM n.model_id THEN '{}' ELSE jsonb_build_object('model_id', o.model_id) END
            || CASE WHEN o.parent_id IS NOT DISTINCT FROM n.parent_id THEN '{}' ELSE jsonb_build_object('parent_id', o.parent_id) END
            || CASE WHEN o.properties = n.properties THEN '{}' ELSE jsonb_build_object('properties',
              (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(o.properties) AS e WHERE e.value IS DISTINCT FROM n.properties -> e.key)) END
            || CASE WHEN NOT m.is_moved THEN '{}' ELSE audit_place(
              o.position_x, n.position_x, o.position_y, n.position_y, o.position_z, n.position_z,
              o.rotation_x, n.rotation_x, o.rotation_y, n.rotation_y, o.rotation_z, n.rotation_z, o.rotation_w, n.rotation_w,
              o.scale_x, n.scale_x, o.scale_y, n.scale_y, o.scale_z, n.scale_z) END
        END,
        CASE
          WHEN n.object_id IS NULL THEN NULL
          WHEN o.object_id IS NULL THEN audit_object(
            n.name, n.model_id, n.parent_id, n.properties, n.position_x, n.position_y, n.position_z,
            n.rotation_x, n.rotation_y, n.rotation_z, n.rotation_w, n.scale_x, n.scale_y, n.scale_z)
          ELSE CASE WHEN o.name IS NOT DISTINCT FROM n.name THEN '{}' ELSE jsonb_build_object('name', n.name) END
            || CASE WHEN o.model_id IS NOT DISTINCT FROM n.model_id THEN '{}' ELSE jsonb_build_object('model_id', n.model_id) END
            || CASE WHEN o.parent_id IS NOT DISTINCT FROM n.parent_id THEN '{}' ELSE jsonb_build_object('parent_id', n.parent_id) END
            || CASE WHEN o.properties = n.properties THEN '{}' ELSE jsonb_build_object('properties',
              (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(n.properties) AS e WHERE e.value IS DISTINCT FROM o.properties -> e.key)) END
            || CASE WHEN NOT m.is_moved THEN '{}' ELSE audit_place(
              n.position_x, o.position_x, n.position_y, o.position_y, n.position_z, o.position_z,
              n.rotation_x, o.rotation_x, n.rotation_y, o.rotation_y, n.rotation_z, o.rotation_z, n.rotation_w, o.rotation_w,
              n.scale_x, o.scale_x, n.scale_y, o.scale_y, n.scale_z, o.scale_z) END
        END
      FROM (SELECT * FROM old_rows WHERE world = v_world) AS o
      FULL JOIN (SELECT * FROM new_rows WHERE world = v_world) AS n ON n.object_id = o.object_id
      LEFT JOIN unnest(v_origins.object_ids, v_origins.object_seqs) AS x (id, seq) ON x.id = n.object_id
      LEFT JOIN list_batch_origins(v_origins) AS r ON r.seq = coalesce(x.seq, n.seq)
      CROSS JOIN LATERAL (SELECT v_moves AND (
        o.position_x, o.position_y, o.position_z, o.rotation_x, o.rotation_y, o.rotation_z, o.rotation_w, o.scale_x, o.scale_y, o.scale_z)
        IS DISTINCT FROM (
        n.position_x, n.position_y, n.position_z, n.rotation_x, n.rotation_y, n.rotation_z, n.rotation_w, n.scale_x, n.scale_y, n.scale_z)
        AS is_moved) AS m
      WHERE o.object_id IS NULL OR n.object_id IS NULL
        OR (o.name, o.model_id, o.parent_id, o.properties) IS DISTINCT FROM (n.name, n.model_id, n.parent_id, n.properties)
        OR m.is_moved;
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- The other tables, from the rows as JSON. Arguments of the trigger: the column with the row's id, and the columns that are not audited.
-- Three kinds of columns have a place of their own in the audit row. The text of a message is in no list of changes either.
CREATE FUNCTION audit_rows() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = on
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
  v_origin audit_origin;
  v_origins batch_origins;
  v_id text := TG_ARGV[0];
  v_salt uuid := gen_random_uuid();
  v_xid bigint := pg_current_xact_id()::text::bigint;
  v_hidden text[] := TG_ARGV[1]::text[] || ARRAY['tenant_id', 'space_id', 'user_id', TG_ARGV[0]];
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM new_rows LIMIT 1;
  ELSE
    PERFORM FROM old_rows LIMIT 1;
  END IF;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF TG_TABLE_NAME = 'space_members' AND current_setting('app.audit_moves', true) = 'off' THEN
    v_hidden := v_hidden || '{position_x,position_y,position_z,rotation_x,rotation_y,rotation_z,rotation_w,scale_x,scale_y,scale_z}';
  END IF;
  PERFORM need_audit_day();
  v_origin := read_audit_origin();
  v_origins := v_origin.origins;
  IF TG_OP = 'INSERT' THEN
    INSERT INTO audit_entries (tenant_id, xid, actor_salt, actor, request_id, table_name, action, space_id, object_id, user_id, new)
    SELECT n.t ->> 'tenant_id',
      v_xid, coalesce(r.actor_salt, v_salt), coalesce(r.actor, v_origin.actor), coalesce(r.request_id, v_origin.request_id),
      TG_TABLE_NAME, 'insert', n.t ->> 'space_id', n.t ->> v_id, n.t ->> 'user_id', n.t - v_hidden
    FROM (SELECT to_jsonb(n) AS t FROM new_rows n) AS n
    LEFT JOIN unnest(v_origins.user_ids, v_origins.user_seqs) AS x (id, seq) ON x.id = n.t ->> 'user_id' AND TG_TABLE_NAME = 'space_members'
    LEFT JOIN list_batch_origins(v_origins) AS r ON r.seq = coalesce(x.seq, (n.t ->> 'seq')::bigint);
    -- A message that its own batch deletes again: somebody else may have deleted it.
    IF TG_TABLE_NAME = 'chat_messages' THEN
      INSERT INTO audit_entries (tenant_id, xid, actor_salt, actor, request_id, table_name, action, space_id, object_id, user_id, old)
      SELECT n.t ->> 'tenant_id',
        v_xid, coalesce(r.actor_salt, v_salt), coalesce(r.actor, v_origin.actor), coalesce(r.request_id, v_origin.request_id),
        TG_TABLE_NAME, 'delete', n.t ->> 'space_id', n.t ->> v_id, n.t ->> 'user_id', n.t - v_hidden
      FROM (SELECT to_jsonb(n) AS t FROM new_rows n) AS n
      LEFT JOIN list_batch_origins(v_origins) AS r
        ON r.seq = (extract(epoch FROM (n.t ->> 'deleted_at')::timestamptz) * 1000000)::bigint
      WHERE n.t -> 'deleted_at' <> 'null';
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO audit_entries (tenant_id, actor, request_id, table_name, action, space_id, object_id, user_id, old)
    SELECT o.t ->> 'tenant_id', v_origin.actor, v_origin.request_id,
      TG_TABLE_NAME, 'delete', o.t ->> 'space_id', o.t ->> v_id, o.t ->> 'user_id', o.t - v_hidden
    FROM (SELECT to_jsonb(o) AS t FROM old_rows o) AS o
    WHERE TG_TABLE_NAME = 'spaces' OR is_audited_space(o.t ->> 'tenant_id', o.t ->> 'space_id');
  ELSE
    INSERT INTO audit_entries (tenant_id, xid, actor_salt, actor, request_id, table_name, action, space_id, object_id, user_id, old, new)
    SELECT c.t ->> 'tenant_id',
      v_xid, coalesce(r.actor_salt, v_salt), coalesce(r.actor, v_origin.actor), coalesce(r.request_id, v_origin.request_id),
      TG_TABLE_NAME, CASE WHEN c.o IS NULL THEN 'insert' WHEN c.n IS NULL OR c.is_gone THEN 'delete' ELSE 'update' END,
      c.t ->> 'space_id', c.t ->> v_id, c.t ->> 'user_id',
      CASE WHEN c.n IS NULL OR c.is_gone THEN c.o - v_hidden ELSE (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(c.o - v_hidden) AS e WHERE e.value IS DISTINCT FROM c.n -> e.key) END,
      CASE WHEN c.o IS NULL THEN c.n - v_hidden WHEN c.is_gone THEN NULL ELSE (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(c.n - v_hidden) AS e WHERE e.value IS DISTINCT FROM c.o -> e.key) END
    FROM (
      SELECT o.t AS o, n.t AS n, coalesce(n.t, o.t) AS t,
        o.t -> 'deleted_at' = 'null' AND n.t -> 'deleted_at' <> 'null' AS is_gone
      FROM (SELECT to_jsonb(o) AS t FROM old_rows o) AS o
      FULL JOIN (SELECT to_jsonb(n) AS t FROM new_rows n) AS n ON n.t ->> v_id = o.t ->> v_id
        AND n.t -> 'tenant_id' = o.t -> 'tenant_id' AND coalesce(n.t ->> 'space_id', '') = coalesce(o.t ->> 'space_id', '')
    ) AS c
    LEFT JOIN unnest(v_origins.user_ids, v_origins.user_seqs) AS x (id, seq) ON x.id = c.t ->> 'user_id' AND TG_TABLE_NAME = 'space_members'
    LEFT JOIN list_batch_origins(v_origins) AS r ON r.seq = CASE
      WHEN c.is_gone THEN (extract(epoch FROM (c.t ->> 'deleted_at')::timestamptz) * 1000000)::bigint
      ELSE coalesce(x.seq, (c.t ->> 'seq')::bigint)
    END
    WHERE c.o - v_hidden IS DISTINCT FROM c.n - v_hidden OR c.is_gone;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- Spaces, people and sessions change for reasons that are not audited: a batch moves a cursor, a heartbeat a time. So the trigger for their
-- updates lists columns, which a trigger of a statement cannot. It has the same arguments.
CREATE FUNCTION audit_row() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_origin audit_origin;
  v_old jsonb := to_jsonb(OLD);
  v_new jsonb := to_jsonb(NEW);
  v_row jsonb := to_jsonb(NEW);
  v_action text := 'update';
  v_hidden text[] := TG_ARGV[1]::text[] || ARRAY['tenant_id', 'space_id', 'user_id', TG_ARGV[0]];
BEGIN
  IF TG_TABLE_NAME <> 'spaces' OR (v_old ->> 'deleted_at' IS NULL AND v_new ->> 'deleted_at' IS NULL AND v_old -> 'world' = v_new -> 'world') THEN
    v_old := v_old - v_hidden;
    v_new := v_new - v_hidden;
    IF v_old = v_new THEN
      RETURN NULL;
    END IF;
    v_old := audit_difference(v_old, v_new);
    v_new := audit_difference(v_new, to_jsonb(OLD) - v_hidden);
  ELSIF v_new ->> 'deleted_at' IS NOT NULL THEN
    IF v_old ->> 'deleted_at' IS NOT NULL THEN
      RETURN NULL;
    END IF;
    v_action := 'delete';
    v_old := v_old - v_hidden;
    v_new := NULL;
  ELSIF v_old ->> 'deleted_at' IS NOT NULL THEN
    v_action := 'insert';
    v_old := NULL;
    v_new := v_new - v_hidden;
  ELSIF v_old -> 'world' = '0' THEN
    -- The first world of a space is of its insert.
    RETURN NULL;
  ELSE
    v_action := 'replace';
    v_old := jsonb_build_object('seq', v_old -> 'generation_seq');
    v_new := jsonb_build_object('seq', v_new -> 'generation_seq');
  END IF;
  PERFORM need_audit_day();
  v_origin := read_audit_origin();
  INSERT INTO audit_entries (tenant_id, actor, request_id, table_name, action, space_id, object_id, user_id, old, new)
  VALUES (
    v_row ->> 'tenant_id', v_origin.actor, v_origin.request_id, TG_TABLE_NAME, v_action, v_row ->> 'space_id', v_row ->> TG_ARGV[0],
    v_row ->> 'user_id', v_old, v_new);
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- Dead letters: their replay and their end. The operation of one may be text that no jsonb holds, and may have the text of a message.
CREATE FUNCTION audit_dead_letters() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = on
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
  v_origin audit_origin;
BEGIN
  PERFORM FROM old_rows LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  PERFORM need_audit_day();
  v_origin := read_audit_origin();
  IF TG_OP = 'DELETE' THEN
    INSERT INTO audit_entries (tenant_id, actor, request_id, table_name, action, space_id, object_id, user_id, old)
    SELECT o.tenant_id, v_origin.actor, v_origin.request_id, 'dead_letters', 'delete', o.space_id, o.dead_letter_id,
      CASE WHEN o.kind = 'avatar' THEN o.target_id END,
      jsonb_build_object('kind', o.kind, 'target_id', o.target_id, 'seq', o.seq, 'index', o.index, 'sql_state', o.sql_state,
        'constraint_name', o.constraint_name, 'replayed_at', o.replayed_at)
    FROM old_rows o;
  ELSE
    INSERT INTO audit_entries (tenant_id, actor, request_id, table_name, action, space_id, object_id, user_id, old, new)
    SELECT n.tenant_id, v_origin.actor, v_origin.request_id, 'dead_letters', 'update', n.space_id, n.dead_letter_id,
      CASE WHEN n.kind = 'avatar' THEN n.target_id END,
      jsonb_build_object('replayed_at', o.replayed_at), jsonb_build_object('replayed_at', n.replayed_at)
    FROM old_rows o JOIN new_rows n ON n.tenant_id = o.tenant_id AND n.dead_letter_id = o.dead_letter_id
    WHERE n.replayed_at IS DISTINCT FROM o.replayed_at;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION audit_retention_days(), audit_dead_letters(), add_audit_days(), drop_audit_day(), read_audit_origin(), need_audit_day(), audit_difference(jsonb, jsonb), is_audited_space(text, text), list_batch_origins(batch_origins), audit_place, audit_object, audit_objects(), audit_rows(), audit_row() FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION audit_retention_days() TO worldkeep_jobs;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION add_audit_days(), drop_audit_day() TO worldkeep_app;
--> statement-breakpoint
-- The cleanup of jobs is not audited. Without app.is_move, which move_objects and move_avatars set, a move would be looked at row by row.
CREATE TRIGGER audit_insert AFTER INSERT ON world_objects REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_objects();
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE ON world_objects REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs' AND current_setting('app.is_move', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION audit_objects();
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON world_objects REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_objects();
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON space_members REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('user_id', '{seq,joined_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE ON space_members REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs' AND current_setting('app.is_move', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION audit_rows('user_id', '{seq,joined_at}');
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON space_members REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('user_id', '{seq,joined_at}');
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON chat_messages REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('message_id', '{text,seq,created_at,deleted_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE ON chat_messages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('message_id', '{text,seq,created_at,deleted_at}');
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON chat_messages REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('message_id', '{text,seq,created_at,deleted_at}');
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON spaces REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('space_id', '{incarnation,log_cursor,world,generation_seq,incarnation_seq,log_instance,log_opened_at,created_at,updated_at,deleted_at}');
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON spaces REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('space_id', '{incarnation,log_cursor,world,generation_seq,incarnation_seq,log_instance,log_opened_at,created_at,updated_at,deleted_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE OF name, description, settings, bounds, world, deleted_at ON spaces
FOR EACH ROW WHEN (current_user <> 'worldkeep_jobs' AND (OLD.name, OLD.description, OLD.settings, OLD.bounds, OLD.world, OLD.deleted_at) IS DISTINCT FROM (NEW.name, NEW.description, NEW.settings, NEW.bounds, NEW.world, NEW.deleted_at))
EXECUTE FUNCTION audit_row('space_id', '{incarnation,log_cursor,world,generation_seq,incarnation_seq,log_instance,log_opened_at,created_at,updated_at,deleted_at}');
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON users REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('user_id', '{created_at,last_seen_at}');
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON users REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('user_id', '{created_at,last_seen_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE OF display_name, avatar_url, properties ON users
FOR EACH ROW WHEN (current_user <> 'worldkeep_jobs' AND (OLD.display_name, OLD.avatar_url, OLD.properties) IS DISTINCT FROM (NEW.display_name, NEW.avatar_url, NEW.properties))
EXECUTE FUNCTION audit_row('user_id', '{created_at,last_seen_at}');
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON sessions REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('session_id', '{created_at,last_heartbeat_at}');
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON sessions REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('session_id', '{created_at,last_heartbeat_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE OF role, expires_at, ended_at ON sessions
FOR EACH ROW WHEN (current_user <> 'worldkeep_jobs' AND (OLD.role, OLD.expires_at, OLD.ended_at) IS DISTINCT FROM (NEW.role, NEW.expires_at, NEW.ended_at))
EXECUTE FUNCTION audit_row('session_id', '{created_at,last_heartbeat_at}');
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON api_keys REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('key_id', '{secret_sha256,created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE ON api_keys REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('key_id', '{secret_sha256,created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON api_keys REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('key_id', '{secret_sha256,created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON uploaded_models REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('model_id', '{created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE ON uploaded_models REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('model_id', '{created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON uploaded_models REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('model_id', '{created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON media_assets REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('media_id', '{created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE ON media_assets REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('media_id', '{created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON media_assets REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('media_id', '{created_at}');
--> statement-breakpoint
CREATE TRIGGER audit_update AFTER UPDATE ON dead_letters REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_dead_letters();
--> statement-breakpoint
CREATE TRIGGER audit_delete AFTER DELETE ON dead_letters REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_dead_letters();
--> statement-breakpoint
CREATE TRIGGER audit_insert AFTER INSERT ON tenants REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT WHEN (current_user <> 'worldkeep_jobs') EXECUTE FUNCTION audit_rows('tenant_id', '{number,rev,created_at}');
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION audit_dead_letters() OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION add_audit_days() OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION drop_audit_day() OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION read_audit_origin() OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION need_audit_day() OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION audit_difference(jsonb, jsonb) OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION list_batch_origins(batch_origins) OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION audit_place OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION audit_object OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION is_audited_space(text, text) OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION audit_objects() OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION audit_rows() OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION audit_row() OWNER TO worldkeep_jobs;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
