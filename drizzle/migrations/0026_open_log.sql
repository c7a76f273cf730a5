-- Notes that a space is written through a log in the life of Redis that p_instance names: from now on its order is the log's,
-- and nothing else writes. Where the log lived in another life, or was there more than a minute ago and is absent, it was
-- lost: an incident says from which seq on.
-- Outcomes: the log's beginning; no row where there is no such space.
CREATE FUNCTION open_log(p_space text, p_instance text, p_is_absent boolean, p_incident text)
RETURNS TABLE (incarnation text, incarnation_seq bigint, log_cursor bigint)
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_space spaces%ROWTYPE;
BEGIN
  SELECT * INTO v_space FROM spaces s
  WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF v_space.log_instance <> p_instance OR (p_is_absent AND v_space.log_opened_at < now() - interval '1 minute') THEN
    INSERT INTO incidents (tenant_id, incident_id, space_id, kind, detail)
    VALUES (v_tenant, p_incident, p_space, 'log_lost', jsonb_build_object('durableSeq', v_space.log_cursor));
    v_space.log_instance := NULL;
  END IF;
  IF v_space.log_instance IS NULL THEN
    UPDATE spaces s SET log_instance = p_instance, log_opened_at = now()
    WHERE s.tenant_id = v_tenant AND s.space_id = p_space;
  END IF;
  RETURN QUERY SELECT v_space.incarnation, v_space.incarnation_seq, v_space.log_cursor;
END
$$;
