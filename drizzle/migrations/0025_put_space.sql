-- Makes a space, or gives one its new name, description, settings and bounds. A space that was deleted is made anew under
-- a new incarnation and a new generation, and nothing of the one before is seen in it, its log neither. Its seqs go on rising.
-- One that was deleted while its log was in Redis is made anew only when that log is known to be retired: else what is
-- appended to the new one would still go to the old one's, and be dropped with it. p_retired: the incarnation whose log is.
-- Outcome: whether the space is new; to_retire: nothing was done, and this incarnation's log is to be retired first.
DROP FUNCTION put_space(text, text, text, text, jsonb, jsonb);
--> statement-breakpoint
CREATE FUNCTION put_space(
  p_space text, p_incarnation text, p_name text, p_description text, p_settings jsonb, p_bounds jsonb, p_retired text,
  OUT is_new boolean, OUT to_retire text)
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_space spaces%ROWTYPE;
  v_deleted boolean;
BEGIN
  INSERT INTO spaces (tenant_id, space_id, incarnation, name, description, settings, bounds, log_cursor, generation_seq,
    incarnation_seq)
  SELECT v_tenant, p_space, p_incarnation, p_name, p_description, p_settings, p_bounds, seq, seq, seq FROM next_seq(0) AS seq
  ON CONFLICT (tenant_id, space_id) DO NOTHING;
  IF FOUND THEN
    is_new := true;
    RETURN;
  END IF;

  SELECT * INTO v_space FROM spaces
  WHERE tenant_id = v_tenant AND space_id = p_space FOR NO KEY UPDATE;
  v_deleted := v_space.deleted_at IS NOT NULL;

  IF v_deleted THEN
    IF v_space.log_instance IS NOT NULL AND v_space.incarnation IS DISTINCT FROM p_retired THEN
      is_new := false;
      to_retire := v_space.incarnation;
      RETURN;
    END IF;
    DELETE FROM chat_messages WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM space_members WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM sessions WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM world_stages WHERE tenant_id = v_tenant AND space_id = p_space;
    UPDATE spaces s
    SET incarnation = p_incarnation, generation = s.next_generation, next_generation = s.next_generation + 1,
        log_cursor = seq, generation_seq = seq, incarnation_seq = seq, log_instance = NULL, log_opened_at = NULL,
        created_at = now(), deleted_at = NULL
    FROM next_seq((SELECT log_cursor FROM spaces WHERE tenant_id = v_tenant AND space_id = p_space)) AS seq
    WHERE s.tenant_id = v_tenant AND s.space_id = p_space;
  END IF;

  UPDATE spaces
  SET name = p_name, description = p_description, settings = p_settings, bounds = p_bounds, updated_at = now()
  WHERE tenant_id = v_tenant AND space_id = p_space;
  is_new := v_deleted;
END
$$;
