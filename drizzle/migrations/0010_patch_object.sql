-- Changes the fields given, as the next step of the space's order. p_patch: any of {name, model, parent, px, py, pz, rx, ry,
-- rz, rw, sx, sy, sz, props}; props is an RFC 7396 merge patch.
-- Outcomes: patched, unknown_space, unknown_object, precondition_failed.
CREATE FUNCTION patch_object(
  p_space text, p_actor text, p_object_id text, p_patch json, p_if_seq bigint[], p_if_exists boolean
) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_space spaces%ROWTYPE;
  v_old world_objects%ROWTYPE;
  v_new record;
  v_has jsonb := p_patch::jsonb;
  v_seq bigint;
BEGIN
  SELECT * INTO v_space FROM spaces
  WHERE tenant_id = v_tenant AND space_id = p_space AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'unknown_space';
  END IF;

  SELECT * INTO v_old FROM world_objects
  WHERE tenant_id = v_tenant AND space_id = p_space AND generation = v_space.generation AND object_id = p_object_id;
  IF NOT FOUND THEN
    RETURN 'unknown_object';
  END IF;
  IF p_if_exists IS FALSE
    OR (p_if_seq IS NOT NULL AND coalesce(nullif(v_old.seq, 0), v_space.generation_seq) <> ALL (p_if_seq)) THEN
    RETURN 'precondition_failed';
  END IF;

  SELECT * INTO v_new FROM json_to_record(p_patch) AS p (
    name text, model text, parent text, px float8, py float8, pz float8, rx float8, ry float8, rz float8, rw float8,
    sx float8, sy float8, sz float8, props jsonb);

  v_seq := next_seq(v_space.log_cursor);
  UPDATE spaces SET log_cursor = v_seq WHERE tenant_id = v_tenant AND space_id = p_space;
  UPDATE world_objects SET
    seq = v_seq,
    -- From here on the object's seq is its own, and its beginning stays that of its generation.
    created_seq = coalesce(nullif(created_seq, 0), v_space.generation_seq),
    updated_by = p_actor,
    name = CASE WHEN v_has ? 'name' THEN v_new.name ELSE name END,
    model_id = CASE WHEN v_has ? 'model' THEN v_new.model ELSE model_id END,
    parent_id = CASE WHEN v_has ? 'parent' THEN v_new.parent ELSE parent_id END,
    position_x = coalesce(v_new.px, position_x),
    position_y = coalesce(v_new.py, position_y),
    position_z = coalesce(v_new.pz, position_z),
    rotation_x = coalesce(v_new.rx, rotation_x),
    rotation_y = coalesce(v_new.ry, rotation_y),
    rotation_z = coalesce(v_new.rz, rotation_z),
    rotation_w = coalesce(v_new.rw, rotation_w),
    scale_x = coalesce(v_new.sx, scale_x),
    scale_y = coalesce(v_new.sy, scale_y),
    scale_z = coalesce(v_new.sz, scale_z),
    properties = CASE WHEN v_has ? 'props' THEN json_merge_patch(properties, v_new.props) ELSE properties END
  WHERE tenant_id = v_tenant AND space_id = p_space AND generation = v_space.generation AND object_id = p_object_id;
  RETURN 'patched';
END
$$;
