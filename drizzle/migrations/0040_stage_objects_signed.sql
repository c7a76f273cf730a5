-- A session signs as its own person: see p_is_session.
DROP FUNCTION IF EXISTS stage_objects(text, text, json);
--> statement-breakpoint
-- Adds objects to a staged world, any number in one statement. p_objects: a list of what put_object takes, with
-- createdBy and createdSeq where the caller knows who made the object and when; what is absent has its default.
-- p_is_session: the caller may not sign as somebody else. An object that the space has keeps its author there, a new one is
-- signed by the caller.
-- Outcome: whether the stage is there (it is not once it was committed, or was left alone for an hour).
CREATE OR REPLACE FUNCTION stage_objects(p_stage text, p_actor text, p_is_session boolean, p_objects json) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_stage world_stages%ROWTYPE;
  v_count integer;
BEGIN
  SELECT * INTO v_stage FROM world_stages
  WHERE tenant_id = current_tenant() AND stage_id = p_stage FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;

  INSERT INTO world_objects (
    tenant_id, space_id, generation, object_id, seq, created_seq, name, model_id, parent_id,
    position_x, position_y, position_z, rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z,
    properties, created_by, updated_by)
  SELECT
    v_stage.tenant_id, v_stage.space_id, v_stage.generation, o.id, 0, coalesce("createdSeq", 0), name, model, parent,
    coalesce(px, 0), coalesce(py, 0), coalesce(pz, 0),
    coalesce(rx, 0), coalesce(ry, 0), coalesce(rz, 0), coalesce(rw, 1),
    coalesce(sx, 1), coalesce(sy, 1), coalesce(sz, 1),
    coalesce(props, '{}'),
    CASE WHEN here.is_there THEN here.created_by WHEN p_is_session THEN p_actor ELSE coalesce("createdBy", p_actor) END,
    p_actor
  FROM json_to_recordset(p_objects) AS o (
    id text, name text, model text, parent text, px float8, py float8, pz float8, rx float8, ry float8, rz float8,
    rw float8, sx float8, sy float8, sz float8, props jsonb, "createdBy" text, "createdSeq" bigint)
  LEFT JOIN LATERAL (
    SELECT true AS is_there, w.created_by FROM spaces s
    JOIN world_objects w ON w.tenant_id = s.tenant_id AND w.space_id = s.space_id AND w.generation = s.generation
    WHERE p_is_session AND s.tenant_id = v_stage.tenant_id AND s.space_id = v_stage.space_id AND w.object_id = o.id
    OFFSET 0
  ) AS here ON true;
  GET DIAGNOSTICS v_count = ROW_COUNT;

  UPDATE world_stages SET objects = objects + v_count, touched_at = now()
  WHERE tenant_id = v_stage.tenant_id AND stage_id = p_stage;
  RETURN true;
END
$$;
