-- Rows of a batch, a column an array: reading JSON takes Postgres 16 µs a row, this 2 µs. An array may be empty or NULL where
-- no row has the column. Texts that may hold anything (names, props) are JSON, so that what Postgres cannot keep fails in
-- its row and not on its way in. authors, creators: places in the batch's list of authors.
-- marks: 1, 2, 4: the name, model, parent is given. 8: props is a list of merge patches. 16: props is one merge patch without
-- a null or an object among its members. 32: created again.
CREATE TYPE object_rows AS (
  ids text[], seqs bigint[], authors integer[],
  px float8[], py float8[], pz float8[], rx float8[], ry float8[], rz float8[], rw float8[],
  sx float8[], sy float8[], sz float8[],
  marks integer[], names text[], models text[], parents text[], props text[],
  created_seqs bigint[], creators integer[]
);
--> statement-breakpoint
-- The places of avatars. props: as in object_rows.
CREATE TYPE avatar_rows AS (
  ids text[], seqs bigint[],
  px float8[], py float8[], pz float8[], rx float8[], ry float8[], rz float8[], rw float8[],
  marks integer[], props text[]
);
--> statement-breakpoint
-- Messages that a batch posts, deletes, or both.
CREATE TYPE message_rows AS (ids text[], seqs bigint[], users text[], texts text[], kinds text[], deleted_seqs bigint[]);
--> statement-breakpoint
-- RFC 7396: members of the patch replace members of the target, null removes one, objects merge, anything else replaces the whole.
-- One pass over each level: building the result member by member takes seconds for some thousand of them.
CREATE FUNCTION json_merge_patch(target jsonb, patch jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
  IF jsonb_typeof(patch) IS DISTINCT FROM 'object' THEN
    RETURN patch;
  END IF;
  RETURN (
    SELECT coalesce(
      jsonb_object_agg(
        key,
        CASE
          WHEN p.value IS NULL THEN t.value
          WHEN jsonb_typeof(p.value) = 'object' THEN json_merge_patch(t.value, p.value)
          ELSE p.value
        END),
      '{}')
    FROM jsonb_each(CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}' END) AS t
    FULL JOIN jsonb_each(patch) AS p USING (key)
    WHERE p.value IS NULL OR jsonb_typeof(p.value) <> 'null');
END
$$;
--> statement-breakpoint
-- Properties after merge patches in their order, by what the row's marks say of `p_props`.
CREATE FUNCTION merge_props(p_old jsonb, p_marks integer, p_props text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  v_new jsonb := p_old;
  v_patch jsonb;
BEGIN
  IF p_marks & 16 <> 0 THEN
    RETURN p_old || p_props::jsonb;
  END IF;
  FOR v_patch IN SELECT value FROM jsonb_array_elements(p_props::jsonb) LOOP
    v_new := json_merge_patch(v_new, v_patch);
  END LOOP;
  RETURN v_new;
END
$$;
--> statement-breakpoint
-- The numbers of authors, each in the place of its id; NULL for NULL. An author who has none yet gets one. In the order of their ids, so that
-- two drains that number the same authors at the same time do not deadlock.
CREATE FUNCTION number_authors(p_ids text[]) RETURNS bigint[]
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_numbers bigint[];
BEGIN
  FOR v_attempt IN 1 .. 2 LOOP
    v_numbers := ARRAY(
      SELECT a.number FROM unnest(p_ids) WITH ORDINALITY AS c (id, place)
      LEFT JOIN LATERAL (
        SELECT a.number FROM authors a WHERE a.tenant_id = v_tenant AND a.author_id = c.id OFFSET 0
      ) AS a ON true
      ORDER BY c.place);
    EXIT WHEN v_attempt = 2 OR NOT EXISTS (
      SELECT FROM unnest(p_ids, v_numbers) AS c (id, number) WHERE c.id IS NOT NULL AND c.number IS NULL);
    INSERT INTO authors (tenant_id, author_id)
    SELECT v_tenant, c.id FROM unnest(p_ids, v_numbers) AS c (id, number)
    WHERE c.id IS NOT NULL AND c.number IS NULL ORDER BY c.id
    ON CONFLICT (tenant_id, author_id) DO NOTHING;
  END LOOP;
  RETURN v_numbers;
END
$$;
--> statement-breakpoint
-- Moves the objects that are there: all that most rows of a batch do. How many are there.
-- How the rows of a batch find their objects, here and below. First row by row by the primary key: a lateral join with OFFSET 0 leaves
-- no other plan. Then by the physical place that gives. With a plain join and without statistics, the planner reads the whole space for
-- each batch. A LIMIT with a number that the planner does not see makes it expect few rows, so the place is cheapest.
CREATE FUNCTION move_objects(p_world bigint, p_world_seq bigint, p_authors bigint[], r object_rows) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
  v_count integer;
BEGIN
  -- The audit does not look at these rows: they are moved only.
  PERFORM set_config('app.is_move', CASE WHEN current_setting('app.audit_moves', true) = 'off' THEN 'on' ELSE '' END, true);
  UPDATE world_objects o SET
    seq = c.seq,
    -- From here on the object's seq is its own, and its beginning stays that of its generation.
    created_seq = coalesce(nullif(o.created_seq, 0), p_world_seq),
    updated_by = p_authors[c.author],
    position_x = coalesce(c.px, o.position_x),
    position_y = coalesce(c.py, o.position_y),
    position_z = coalesce(c.pz, o.position_z),
    rotation_x = coalesce(c.rx, o.rotation_x),
    rotation_y = coalesce(c.ry, o.rotation_y),
    rotation_z = coalesce(c.rz, o.rotation_z),
    rotation_w = coalesce(c.rw, o.rotation_w)
  FROM (
    SELECT c.*, w.place
    FROM (
      SELECT * FROM unnest(r.ids, r.seqs, r.authors, r.px, r.py, r.pz, r.rx, r.ry, r.rz, r.rw)
        AS c (id, seq, author, px, py, pz, rx, ry, rz, rw)
      LIMIT cardinality(r.ids)
    ) AS c
    CROSS JOIN LATERAL (
      SELECT w.ctid AS place FROM world_objects w
      WHERE w.world = p_world AND w.object_id = c.id
      OFFSET 0
    ) AS w
  ) AS c
  WHERE o.ctid = c.place;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  PERFORM set_config('app.is_move', '', true);
  RETURN v_count;
END
$$;
--> statement-breakpoint
-- Changes any fields of the objects that are there. How many are there.
CREATE FUNCTION patch_objects(p_world bigint, p_world_seq bigint, p_authors bigint[], r object_rows) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
  v_count integer;
BEGIN
  UPDATE world_objects o SET
    seq = c.seq,
    created_seq = coalesce(nullif(o.created_seq, 0), p_world_seq),
    updated_by = p_authors[c.author],
    position_x = coalesce(c.px, o.position_x),
    position_y = coalesce(c.py, o.position_y),
    position_z = coalesce(c.pz, o.position_z),
    rotation_x = coalesce(c.rx, o.rotation_x),
    rotation_y = coalesce(c.ry, o.rotation_y),
    rotation_z = coalesce(c.rz, o.rotation_z),
    rotation_w = coalesce(c.rw, o.rotation_w),
    scale_x = coalesce(c.sx, o.scale_x),
    scale_y = coalesce(c.sy, o.scale_y),
    scale_z = coalesce(c.sz, o.scale_z),
    name = CASE WHEN c.marks & 1 <> 0 THEN c.name::json #>> '{}' ELSE o.name END,
    model_id = CASE WHEN c.marks & 2 <> 0 THEN c.model ELSE o.model_id END,
    parent_id = CASE WHEN c.marks & 4 <> 0 THEN c.parent ELSE o.parent_id END,
    properties = CASE WHEN c.marks & 24 <> 0 THEN merge_props(o.properties, c.marks, c.props) ELSE o.properties END
  FROM (
    SELECT c.*, w.place
    FROM (
      SELECT * FROM unnest(
          r.ids, r.seqs, r.authors, r.px, r.py, r.pz, r.rx, r.ry, r.rz, r.rw, r.sx, r.sy, r.sz,
          r.marks, r.names, r.models, r.parents, r.props)
        AS c (id, seq, author, px, py, pz, rx, ry, rz, rw, sx, sy, sz, marks, name, model, parent, props)
      LIMIT cardinality(r.ids)
    ) AS c
    CROSS JOIN LATERAL (
      SELECT w.ctid AS place FROM world_objects w
      WHERE w.world = p_world AND w.object_id = c.id
      OFFSET 0
    ) AS w
  ) AS c
  WHERE o.ctid = c.place;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END
$$;
--> statement-breakpoint
-- Creates objects or replaces them. An existing object keeps its beginning and its author, unless it is created again.
CREATE FUNCTION put_objects(p_world bigint, p_world_seq bigint, p_authors bigint[], r object_rows) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  IF 32 = ANY (r.marks) THEN
    DELETE FROM world_objects o USING (
      SELECT c.*, w.place
      FROM (
        SELECT * FROM unnest(r.ids, r.marks)
          AS c (id, marks)
        LIMIT cardinality(r.ids)
      ) AS c
      CROSS JOIN LATERAL (
        SELECT w.ctid AS place FROM world_objects w
        WHERE w.world = p_world AND w.object_id = c.id
        OFFSET 0
      ) AS w
    ) AS c
    WHERE o.ctid = c.place AND c.marks = 32;
  END IF;
  INSERT INTO world_objects AS kept (
    world, object_id, seq, created_seq, name, model_id, parent_id,
    position_x, position_y, position_z, rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z,
    properties, created_by, updated_by)
  SELECT
    p_world, c.id, c.seq, c.created_seq, c.name::json #>> '{}', c.model, c.parent,
    c.px, c.py, c.pz, c.rx, c.ry, c.rz, c.rw, c.sx, c.sy, c.sz, c.props::jsonb,
    p_authors[c.creator], p_authors[c.author]
  FROM unnest(
      r.ids, r.seqs, r.authors, r.px, r.py, r.pz, r.rx, r.ry, r.rz, r.rw, r.sx, r.sy, r.sz,
      r.names, r.models, r.parents, r.props, r.created_seqs, r.creators)
    AS c (id, seq, author, px, py, pz, rx, ry, rz, rw, sx, sy, sz, name, model, parent, props, created_seq, creator)
  ON CONFLICT (world, object_id) DO UPDATE SET
    seq = excluded.seq, created_seq = coalesce(nullif(kept.created_seq, 0), p_world_seq),
    name = excluded.name, model_id = excluded.model_id, parent_id = excluded.parent_id,
    position_x = excluded.position_x, position_y = excluded.position_y, position_z = excluded.position_z,
    rotation_x = excluded.rotation_x, rotation_y = excluded.rotation_y, rotation_z = excluded.rotation_z,
    rotation_w = excluded.rotation_w,
    scale_x = excluded.scale_x, scale_y = excluded.scale_y, scale_z = excluded.scale_z,
    properties = excluded.properties, updated_by = excluded.updated_by;
END
$$;
--> statement-breakpoint
-- Removes the objects that are there, and notes that it did, for an hour of the space's order. Which it removed.
CREATE FUNCTION remove_objects(p_world bigint, r object_rows) RETURNS text[]
LANGUAGE plpgsql
AS $$
DECLARE
  v_removed text[];
BEGIN
  WITH gone AS (
    DELETE FROM world_objects o USING (
      SELECT c.*, w.place
      FROM (
        SELECT * FROM unnest(r.ids, r.seqs)
          AS c (id, seq)
        LIMIT cardinality(r.ids)
      ) AS c
      CROSS JOIN LATERAL (
        SELECT w.ctid AS place FROM world_objects w
        WHERE w.world = p_world AND w.object_id = c.id
        OFFSET 0
      ) AS w
    ) AS c
    WHERE o.ctid = c.place
    RETURNING o.object_id, c.seq
  ), noted AS (
    INSERT INTO object_removals (world, object_id, seq)
    SELECT p_world, g.object_id, g.seq FROM gone g
    ON CONFLICT (world, object_id) DO UPDATE SET seq = excluded.seq
  )
  SELECT coalesce(array_agg(g.object_id), '{}') INTO v_removed FROM gone g;
  DELETE FROM object_removals o
  WHERE o.world = p_world
    AND o.seq < (SELECT max(s) FROM unnest(r.seqs) AS s) - 3600000000;
  RETURN v_removed;
END
$$;
--> statement-breakpoint
-- Which of these objects are not there.
CREATE FUNCTION find_absent(p_world bigint, p_ids text[]) RETURNS text[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RETURN ARRAY(
    SELECT c.id FROM unnest(p_ids) AS c (id)
    LEFT JOIN LATERAL (
      SELECT w.object_id FROM world_objects w
      WHERE w.world = p_world AND w.object_id = c.id
      OFFSET 0
    ) AS w ON true
    WHERE w.object_id IS NULL);
END
$$;
--> statement-breakpoint
-- Moves avatars, and creates avatars of known people without one: at the origin, if no position is given. Outcome: how many.
CREATE FUNCTION move_avatars(p_space text, r avatar_rows) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_count integer;
  v_added integer;
BEGIN
  -- As in move_objects, if no row has properties.
  IF current_setting('app.audit_moves', true) = 'off' AND NOT EXISTS (SELECT FROM unnest(r.marks) AS c (mark) WHERE c.mark & 24 <> 0) THEN
    PERFORM set_config('app.is_move', 'on', true);
  END IF;
  UPDATE space_members m SET
    seq = c.seq,
    position_x = coalesce(c.px, m.position_x, 0),
    position_y = coalesce(c.py, m.position_y, 0),
    position_z = coalesce(c.pz, m.position_z, 0),
    rotation_x = coalesce(c.rx, m.rotation_x, 0),
    rotation_y = coalesce(c.ry, m.rotation_y, 0),
    rotation_z = coalesce(c.rz, m.rotation_z, 0),
    rotation_w = coalesce(c.rw, m.rotation_w, 1),
    properties = CASE WHEN c.marks & 24 <> 0 THEN merge_props(m.properties, c.marks, c.props) ELSE m.properties END
  FROM (
    SELECT c.*, w.place
    FROM (
      SELECT * FROM unnest(r.ids, r.seqs, r.px, r.py, r.pz, r.rx, r.ry, r.rz, r.rw, r.marks, r.props)
        AS c (id, seq, px, py, pz, rx, ry, rz, rw, marks, props)
      LIMIT cardinality(r.ids)
    ) AS c
    CROSS JOIN LATERAL (
      SELECT w.ctid AS place FROM space_members w
      WHERE w.tenant_id = v_tenant AND w.space_id = p_space AND w.user_id = c.id
      OFFSET 0
    ) AS w
  ) AS c
  WHERE m.ctid = c.place;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  PERFORM set_config('app.is_move', '', true);
  IF v_count = cardinality(r.ids) THEN
    RETURN v_count;
  END IF;
  INSERT INTO space_members (
    tenant_id, space_id, user_id, seq, position_x, position_y, position_z,
    rotation_x, rotation_y, rotation_z, rotation_w, properties)
  SELECT
    v_tenant, p_space, u.user_id, c.seq, coalesce(c.px, 0), coalesce(c.py, 0), coalesce(c.pz, 0),
    coalesce(c.rx, 0), coalesce(c.ry, 0), coalesce(c.rz, 0), coalesce(c.rw, 1),
    CASE WHEN c.marks & 24 <> 0 THEN merge_props('{}', c.marks, c.props) ELSE '{}' END
  FROM unnest(r.ids, r.seqs, r.px, r.py, r.pz, r.rx, r.ry, r.rz, r.rw, r.marks, r.props)
    AS c (id, seq, px, py, pz, rx, ry, rz, rw, marks, props)
  CROSS JOIN LATERAL (
    SELECT u.user_id FROM users u WHERE u.tenant_id = v_tenant AND u.user_id = c.id OFFSET 0
  ) AS u
  LEFT JOIN LATERAL (
    SELECT m.user_id FROM space_members m
    WHERE m.tenant_id = v_tenant AND m.space_id = p_space AND m.user_id = c.id
    OFFSET 0
  ) AS m ON true
  WHERE m.user_id IS NULL
  -- People who became members this moment, by a session.
  ON CONFLICT (tenant_id, space_id, user_id) DO UPDATE SET
    seq = excluded.seq, properties = excluded.properties,
    position_x = excluded.position_x, position_y = excluded.position_y, position_z = excluded.position_z,
    rotation_x = excluded.rotation_x, rotation_y = excluded.rotation_y, rotation_z = excluded.rotation_z,
    rotation_w = excluded.rotation_w;
  GET DIAGNOSTICS v_added = ROW_COUNT;
  RETURN v_count + v_added;
END
$$;
--> statement-breakpoint
-- Posts and deletes messages: the first where there is a seq, the second where there is a deleted seq. texts and kinds are JSON, as in
-- object_rows. A deleted message stays for some days, and no list shows it. Outcome: the deletions that found no message.
CREATE FUNCTION write_messages(p_space text, r message_rows) RETURNS text[]
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_absent text[];
BEGIN
  INSERT INTO chat_messages (tenant_id, space_id, message_id, user_id, text, kind, seq, created_at, deleted_at)
  SELECT v_tenant, p_space, c.id, c.author, c.text::json #>> '{}', c.kind::json #>> '{}', c.seq, seq_to_time(c.seq),
    seq_to_time(c.deleted_seq)
  FROM unnest(r.ids, r.seqs, r.users, r.texts, r.kinds, r.deleted_seqs) AS c (id, seq, author, text, kind, deleted_seq)
  WHERE c.seq IS NOT NULL
  ON CONFLICT (tenant_id, space_id, message_id) DO NOTHING;
  WITH gone AS (
    UPDATE chat_messages m SET deleted_at = seq_to_time(c.deleted_seq)
    FROM unnest(r.ids, r.seqs, r.deleted_seqs) AS c (id, seq, deleted_seq)
    WHERE m.tenant_id = v_tenant AND m.space_id = p_space AND m.message_id = c.id AND m.deleted_at IS NULL
      AND c.seq IS NULL
    RETURNING m.message_id
  )
  SELECT ARRAY(
    SELECT c.id FROM unnest(r.ids, r.seqs) AS c (id, seq) WHERE c.seq IS NULL EXCEPT SELECT g.message_id FROM gone g)
  INTO v_absent;
  RETURN v_absent;
END
$$;
--> statement-breakpoint
-- Stores objects as the entries at p_seqs left them, for the callers that wait for those answers. An object that has another
-- seq now is left out. No caller waits longer than a minute: older rows of the space go.
CREATE FUNCTION keep_written(p_space text, p_world bigint, p_seqs bigint[], p_ids text[]) RETURNS void
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
    v_tenant, p_space, o.object_id, o.seq, o.created_seq, o.position_x, o.position_y, o.position_z,
    o.rotation_x, o.rotation_y, o.rotation_z, o.rotation_w, o.scale_x, o.scale_y, o.scale_z,
    o.name, o.model_id, o.parent_id, o.created_by, o.updated_by, o.properties
  FROM unnest(p_seqs, p_ids) AS c (seq, id)
  CROSS JOIN LATERAL (
    SELECT w.* FROM world_objects w
    WHERE w.world = p_world AND w.object_id = c.id AND w.seq = c.seq
    OFFSET 0
  ) AS o
  ON CONFLICT (tenant_id, space_id, seq) DO NOTHING;
  DELETE FROM written_objects w
  WHERE w.tenant_id = v_tenant AND w.space_id = p_space AND w.seq < (SELECT max(s) FROM unnest(p_seqs) AS s) - 60000000;
END
$$;
--> statement-breakpoint
-- The objects of the world with these ids, each found by its key.
CREATE FUNCTION find_objects(p_space text, p_ids text[]) RETURNS SETOF world_objects
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
BEGIN
  RETURN QUERY
  SELECT o.* FROM spaces s
  CROSS JOIN LATERAL (SELECT * FROM unnest(p_ids) AS c (id) OFFSET 0) AS c
  CROSS JOIN LATERAL (
    SELECT w.* FROM world_objects w
    WHERE w.world = s.world AND w.object_id = c.id
    OFFSET 0
  ) AS o
  WHERE s.tenant_id = current_tenant() AND s.space_id = p_space AND s.deleted_at IS NULL;
END
$$;
--> statement-breakpoint
-- The names of the properties that an operation gives, without names that no jsonb can hold.
CREATE FUNCTION property_keys(p_op json) RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
  IF json_typeof(p_op -> 'properties') <> 'object' THEN
    RETURN '[]';
  END IF;
  RETURN (SELECT coalesce(json_agg(k), '[]') FROM json_object_keys(p_op -> 'properties') AS k);
EXCEPTION WHEN data_exception THEN
  RETURN '[]';
END
$$;
