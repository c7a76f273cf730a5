-- Each of these returned nothing. Now it says which rows were there.
DROP FUNCTION IF EXISTS remove_objects(text, bigint, object_rows);
--> statement-breakpoint
DROP FUNCTION IF EXISTS move_avatars(text, avatar_rows);
--> statement-breakpoint
-- Which of these objects are not there.
CREATE OR REPLACE FUNCTION find_absent(p_space text, p_generation bigint, p_ids text[]) RETURNS text[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  v_tenant text := current_tenant();
BEGIN
  RETURN ARRAY(
    SELECT c.id FROM unnest(p_ids) AS c (id)
    LEFT JOIN LATERAL (
      SELECT w.object_id FROM world_objects w
      WHERE w.tenant_id = v_tenant AND w.space_id = p_space AND w.generation = p_generation AND w.object_id = c.id
      OFFSET 0
    ) AS w ON true
    WHERE w.object_id IS NULL);
END
$$;
--> statement-breakpoint
-- Removes the objects that are there, and notes that it did, for an hour of the space's order. Which it removed.
CREATE OR REPLACE FUNCTION remove_objects(p_space text, p_generation bigint, r object_rows) RETURNS text[]
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
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
        WHERE w.tenant_id = v_tenant AND w.space_id = p_space AND w.generation = p_generation AND w.object_id = c.id
        OFFSET 0
      ) AS w
    ) AS c
    WHERE o.ctid = c.place
    RETURNING o.object_id, c.seq
  ), noted AS (
    INSERT INTO object_removals (tenant_id, space_id, generation, object_id, seq)
    SELECT v_tenant, p_space, p_generation, g.object_id, g.seq FROM gone g
    ON CONFLICT (tenant_id, space_id, generation, object_id) DO UPDATE SET seq = excluded.seq
  )
  SELECT coalesce(array_agg(g.object_id), '{}') INTO v_removed FROM gone g;
  DELETE FROM object_removals o
  WHERE o.tenant_id = v_tenant AND o.space_id = p_space
    AND o.seq < (SELECT max(s) FROM unnest(r.seqs) AS s) - 3600000000;
  RETURN v_removed;
END
$$;
--> statement-breakpoint
-- Moves avatars, and puts those of known people there who have none yet: at the origin, where no position is given. How many.
CREATE OR REPLACE FUNCTION move_avatars(p_space text, r avatar_rows) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_count integer;
  v_added integer;
BEGIN
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
  -- Whoever has become a member this moment, by a session.
  ON CONFLICT (tenant_id, space_id, user_id) DO UPDATE SET
    seq = excluded.seq, properties = excluded.properties,
    position_x = excluded.position_x, position_y = excluded.position_y, position_z = excluded.position_z,
    rotation_x = excluded.rotation_x, rotation_y = excluded.rotation_y, rotation_z = excluded.rotation_z,
    rotation_w = excluded.rotation_w;
  GET DIAGNOSTICS v_added = ROW_COUNT;
  RETURN v_count + v_added;
END
$$;
