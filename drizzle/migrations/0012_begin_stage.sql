-- Opens a world on its way in, under a generation of its own that no space names yet. Whether the space is there.
CREATE FUNCTION begin_stage(p_space text, p_stage text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_generation bigint;
BEGIN
  UPDATE spaces SET next_generation = next_generation + 1
  WHERE tenant_id = v_tenant AND space_id = p_space AND deleted_at IS NULL
  RETURNING next_generation - 1 INTO v_generation;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO world_stages (tenant_id, stage_id, space_id, generation) VALUES (v_tenant, p_stage, p_space, v_generation);
  RETURN true;
END
$$;
