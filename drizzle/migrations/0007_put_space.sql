-- Makes a space, or gives one its new name, description, settings and bounds. A space that was deleted is made anew under
-- a new incarnation and a new generation, and nothing of the one before is seen in it. Its seqs go on rising.
-- Outcome: whether the space is new.
CREATE FUNCTION put_space(
  p_space text, p_incarnation text, p_name text, p_description text, p_settings jsonb, p_bounds jsonb
) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_deleted boolean;
BEGIN
  INSERT INTO spaces (tenant_id, space_id, incarnation, name, description, settings, bounds, log_cursor, generation_seq)
  SELECT v_tenant, p_space, p_incarnation, p_name, p_description, p_settings, p_bounds, seq, seq FROM next_seq(0) AS seq
  ON CONFLICT (tenant_id, space_id) DO NOTHING;
  IF FOUND THEN
    RETURN true;
  END IF;

  SELECT deleted_at IS NOT NULL INTO v_deleted FROM spaces
  WHERE tenant_id = v_tenant AND space_id = p_space FOR NO KEY UPDATE;

  IF v_deleted THEN
    DELETE FROM chat_messages WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM space_members WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM sessions WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM world_stages WHERE tenant_id = v_tenant AND space_id = p_space;
    UPDATE spaces s
    SET incarnation = p_incarnation, generation = s.next_generation, next_generation = s.next_generation + 1,
        log_cursor = seq, generation_seq = seq, created_at = now(), deleted_at = NULL
    FROM next_seq((SELECT log_cursor FROM spaces WHERE tenant_id = v_tenant AND space_id = p_space)) AS seq
    WHERE s.tenant_id = v_tenant AND s.space_id = p_space;
  END IF;

  UPDATE spaces
  SET name = p_name, description = p_description, settings = p_settings, bounds = p_bounds, updated_at = now()
  WHERE tenant_id = v_tenant AND space_id = p_space;
  RETURN v_deleted;
END
$$;
