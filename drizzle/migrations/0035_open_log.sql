-- What was found wrong with a log: `redis_restarted`, entries waited when Redis restarted; `reader_ahead`, a reader named a seq
-- above the log's end.
ALTER TABLE "incidents" DROP CONSTRAINT "incidents_kind_known";--> statement-breakpoint
ALTER TABLE "incidents" ADD CONSTRAINT "incidents_kind_known"
  CHECK ("incidents"."kind" in ('log_lost', 'log_gap', 'redis_restarted', 'reader_ahead'));--> statement-breakpoint
DROP FUNCTION open_log(text, text, boolean, text);
--> statement-breakpoint
-- Notes that a space is written through a log in the Redis that p_instance names: from now on the log gives the order, and
-- nothing else writes. Where the log lived in another Redis, or was there more than a minute ago and is absent, it was lost:
-- an incident says from which seq on.
-- Outcomes: the log's beginning; was_open, whether it was open before; is_lost, whether an incident says that what came after
-- the cursor is lost. No row where there is no such space.
CREATE FUNCTION open_log(p_space text, p_instance text, p_is_absent boolean, p_incident text)
RETURNS TABLE (incarnation text, incarnation_seq bigint, log_cursor bigint, was_open boolean, is_lost boolean)
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_space spaces%ROWTYPE;
  v_was_open boolean;
  v_is_lost boolean;
BEGIN
  SELECT * INTO v_space FROM spaces s
  WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  v_was_open := v_space.log_instance IS NOT NULL;
  v_is_lost := v_was_open AND (
    v_space.log_instance <> p_instance OR (p_is_absent AND v_space.log_opened_at < now() - interval '1 minute'));
  IF v_is_lost THEN
    INSERT INTO incidents (tenant_id, incident_id, space_id, kind, detail)
    VALUES (v_tenant, p_incident, p_space, 'log_lost', jsonb_build_object('durableSeq', v_space.log_cursor));
  END IF;
  IF v_is_lost OR NOT v_was_open THEN
    UPDATE spaces s SET log_instance = p_instance, log_opened_at = now()
    WHERE s.tenant_id = v_tenant AND s.space_id = p_space;
  END IF;
  -- Of several that open it at the same time, one writes the incident.
  v_is_lost := v_is_lost OR EXISTS (
    SELECT FROM incidents i
    WHERE i.tenant_id = v_tenant AND i.created_at > now() - interval '1 minute' AND i.space_id = p_space
      AND i.kind = 'log_lost' AND (i.detail ->> 'durableSeq')::bigint = v_space.log_cursor);
  RETURN QUERY SELECT v_space.incarnation, v_space.incarnation_seq, v_space.log_cursor, v_was_open, v_is_lost;
END
$$;
