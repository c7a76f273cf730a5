-- Takes objects out of a staged world again: those that are gone from it, and those about to be staged anew.
-- p_ids: a list of ids, of which any may not be there.
-- Outcome: whether the stage is there.
CREATE FUNCTION unstage_objects(p_stage text, p_ids json) RETURNS boolean
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
  DELETE FROM world_objects o
  WHERE o.tenant_id = v_stage.tenant_id AND o.space_id = v_stage.space_id AND o.generation = v_stage.generation
    AND o.object_id = ANY (ARRAY(SELECT json_array_elements_text(p_ids)));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  UPDATE world_stages SET objects = objects - v_count, touched_at = now()
  WHERE tenant_id = v_stage.tenant_id AND stage_id = p_stage;
  RETURN true;
END
$$;
