-- Creates an object or replaces it whole, as the next step of its space's order.
-- p_object: {id, name, model, parent, px, py, pz, rx, ry, rz, rw, sx, sy, sz, props}. p_if_seq: the object's seq must be one
-- of these; p_if_exists: it must be there (true) or must not (false); NULL asks nothing.
-- Outcomes: created, replaced, unknown_space, precondition_failed.
CREATE FUNCTION put_object(p_space text, p_actor text, p_object json, p_if_seq bigint[], p_if_exists boolean) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_id text := p_object ->> 'id';
  v_space spaces%ROWTYPE;
  v_old_seq bigint;
  v_seq bigint;
BEGIN
  SELECT * INTO v_space FROM spaces
  WHERE tenant_id = v_tenant AND space_id = p_space AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'unknown_space';
  END IF;

  SELECT coalesce(nullif(seq, 0), v_space.generation_seq) INTO v_old_seq FROM world_objects
  WHERE tenant_id = v_tenant AND space_id = p_space AND generation = v_space.generation AND object_id = v_id;
  IF p_if_exists <> (v_old_seq IS NOT NULL) OR (p_if_seq IS NOT NULL AND v_old_seq = ANY (p_if_seq) IS NOT TRUE) THEN
    RETURN 'precondition_failed';
  END IF;

  v_seq := next_seq(v_space.log_cursor);
  UPDATE spaces SET log_cursor = v_seq WHERE tenant_id = v_tenant AND space_id = p_space;
  INSERT INTO world_objects (
    tenant_id, space_id, generation, object_id, seq, created_seq, name, model_id, parent_id,
    position_x, position_y, position_z, rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z,
    properties, created_by, updated_by)
  SELECT
    v_tenant, p_space, v_space.generation, v_id, v_seq, v_seq, name, model, parent,
    px, py, pz, rx, ry, rz, rw, sx, sy, sz, props, p_actor, p_actor
  FROM json_to_record(p_object) AS o (
    name text, model text, parent text, px float8, py float8, pz float8, rx float8, ry float8, rz float8, rw float8,
    sx float8, sy float8, sz float8, props jsonb)
  ON CONFLICT (tenant_id, space_id, generation, object_id) DO UPDATE SET
    seq = excluded.seq, name = excluded.name, model_id = excluded.model_id, parent_id = excluded.parent_id,
    position_x = excluded.position_x, position_y = excluded.position_y, position_z = excluded.position_z,
    rotation_x = excluded.rotation_x, rotation_y = excluded.rotation_y, rotation_z = excluded.rotation_z,
    rotation_w = excluded.rotation_w,
    scale_x = excluded.scale_x, scale_y = excluded.scale_y, scale_z = excluded.scale_z,
    properties = excluded.properties, updated_by = excluded.updated_by;
  RETURN CASE WHEN v_old_seq IS NULL THEN 'created' ELSE 'replaced' END;
END
$$;
