-- Notes that a reader named p_seq as the last it had seen, and the log has no such entry: it ends at p_last, or continues from
-- there with p_next. Acknowledged writes were lost, or the reader is wrong. Readers are not trusted: a seq at or below
-- Postgres's cursor that nothing in the log excludes, or one more than a minute ahead of the clock, is not noted, and a space
-- gets one such incident in an hour of the clock (the incident's id says which).
-- Outcomes: Postgres's cursor, and whether the incident was written; no row where the space has no such incarnation.
CREATE FUNCTION note_reader_ahead(p_space text, p_incarnation text, p_seq bigint, p_last bigint, p_next bigint)
RETURNS TABLE (log_cursor bigint, is_noted boolean)
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_cursor bigint;
  v_count integer := 0;
BEGIN
  SELECT s.log_cursor INTO v_cursor FROM spaces s
  WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.incarnation = p_incarnation AND s.deleted_at IS NULL;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF (p_next IS NOT NULL OR p_seq > v_cursor)
    AND p_seq < extract(epoch FROM clock_timestamp() + interval '1 minute') * 1000000 THEN
    INSERT INTO incidents (tenant_id, incident_id, space_id, kind, detail)
    VALUES (
      v_tenant, 'ahead.' || md5(p_space || ' ' || p_incarnation) || '.' || floor(extract(epoch FROM now()) / 3600)::text,
      p_space, 'reader_ahead', jsonb_build_object('after', p_last, 'seen', p_seq, 'next', p_next))
    ON CONFLICT (tenant_id, incident_id) DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
  END IF;
  RETURN QUERY SELECT v_cursor, v_count > 0;
END
$$;
