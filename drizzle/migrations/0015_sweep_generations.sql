-- Removes what no space names any more: the worlds that were replaced, and those staged and left alone for an hour.
-- How many objects went.
CREATE FUNCTION sweep_generations(p_space text) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_removed bigint;
BEGIN
  DELETE FROM world_stages
  WHERE tenant_id = v_tenant AND space_id = p_space AND touched_at < now() - interval '1 hour';
  DELETE FROM world_objects o
  WHERE o.tenant_id = v_tenant AND o.space_id = p_space
    AND o.generation <> (SELECT s.generation FROM spaces s WHERE s.tenant_id = v_tenant AND s.space_id = p_space)
    AND NOT EXISTS (
      SELECT FROM world_stages w
      WHERE w.tenant_id = v_tenant AND w.space_id = p_space AND w.generation = o.generation);
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  RETURN v_removed;
END
$$;
