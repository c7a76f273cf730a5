-- Removes what no space names any more: the worlds that were replaced, and those staged and left alone for an hour.
-- Goes from generation to generation by the index, so that the rows of the living world are not read.
-- How many objects went.
CREATE FUNCTION sweep_generations(p_space text) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_generation bigint := -1;
  v_count bigint;
  v_removed bigint := 0;
BEGIN
  DELETE FROM world_stages
  WHERE tenant_id = v_tenant AND space_id = p_space AND touched_at < now() - interval '1 hour';
  LOOP
    SELECT o.generation INTO v_generation FROM world_objects o
    WHERE o.tenant_id = v_tenant AND o.space_id = p_space AND o.generation > v_generation
    ORDER BY o.generation LIMIT 1;
    EXIT WHEN NOT FOUND;
    -- Whether the generation is named is asked in the statement that deletes: both see the same moment.
    DELETE FROM world_objects o
    WHERE o.tenant_id = v_tenant AND o.space_id = p_space AND o.generation = v_generation
      AND NOT EXISTS (
        SELECT FROM spaces s
        WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.generation = v_generation)
      AND NOT EXISTS (
        SELECT FROM world_stages w
        WHERE w.tenant_id = v_tenant AND w.space_id = p_space AND w.generation = v_generation);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_removed := v_removed + v_count;
  END LOOP;
  RETURN v_removed;
END
$$;
