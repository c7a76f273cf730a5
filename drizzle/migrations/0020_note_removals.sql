CALL protect_tenant_table('object_removals', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
-- Removes an object, as the next step of its space's order, and notes that it did, for an hour of that order. The seq of that
-- step is the space's cursor afterwards.
-- Outcomes: deleted, unknown_space, unknown_object, precondition_failed.
CREATE OR REPLACE FUNCTION delete_object(p_space text, p_object_id text, p_if_seq bigint[], p_if_exists boolean) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
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
  WHERE tenant_id = v_tenant AND space_id = p_space AND generation = v_space.generation AND object_id = p_object_id;
  IF NOT FOUND THEN
    RETURN 'unknown_object';
  END IF;
  IF p_if_exists IS FALSE OR (p_if_seq IS NOT NULL AND v_old_seq <> ALL (p_if_seq)) THEN
    RETURN 'precondition_failed';
  END IF;

  v_seq := next_seq(v_space.log_cursor);
  DELETE FROM world_objects
  WHERE tenant_id = v_tenant AND space_id = p_space AND generation = v_space.generation AND object_id = p_object_id;
  UPDATE spaces SET log_cursor = v_seq WHERE tenant_id = v_tenant AND space_id = p_space;
  INSERT INTO object_removals (tenant_id, space_id, generation, object_id, seq)
  VALUES (v_tenant, p_space, v_space.generation, p_object_id, v_seq)
  ON CONFLICT (tenant_id, space_id, generation, object_id) DO UPDATE SET seq = excluded.seq;
  DELETE FROM object_removals r
  WHERE r.tenant_id = v_tenant AND r.space_id = p_space AND r.seq < v_seq - 3600000000;
  RETURN 'deleted';
END
$$;
