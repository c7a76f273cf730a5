-- The place after `last` in a space's order: the time in microseconds, or one more than the last where the clock is behind.
CREATE FUNCTION next_seq(last bigint) RETURNS bigint
LANGUAGE sql VOLATILE
AS $$ SELECT greatest(last + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) $$;
--> statement-breakpoint
-- The moment of a seq.
CREATE FUNCTION seq_to_time(p_seq bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE
AS $$ SELECT 'epoch'::timestamptz + p_seq * interval '1 microsecond' $$;
--> statement-breakpoint
-- The lowest role that may post messages in a space, or off.
CREATE FUNCTION chat_rule(p_settings jsonb) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
  SELECT CASE WHEN p_settings ->> 'chat' IN ('viewer', 'editor', 'owner', 'off') THEN p_settings ->> 'chat' ELSE 'viewer' END
$$;
--> statement-breakpoint
-- A number for a new generation of a space's world. Its upper bits are the number of the tenant, which row security compares. Its
-- lower bits come from one sequence. No caller can choose it, and no other generation gets the same number.
CREATE FUNCTION draw_world(p_space text) RETURNS bigint
LANGUAGE sql
AS $$
  INSERT INTO worlds (tenant_id, space_id, world)
  SELECT t.tenant_id, p_space, (t.number << 39) | nextval('world_numbers') FROM tenants t WHERE t.tenant_id = current_tenant()
  RETURNING world
$$;
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
  -- Number 0 is of no world. The row is there when the space's first number is drawn.
  INSERT INTO spaces (tenant_id, space_id, incarnation, name, description, settings, bounds, log_cursor, world, generation_seq,
    incarnation_seq)
  SELECT v_tenant, p_space, p_incarnation, p_name, p_description, p_settings, p_bounds, seq, 0, seq, seq FROM next_seq(0) AS seq
  ON CONFLICT (tenant_id, space_id) DO NOTHING;
  IF FOUND THEN
    UPDATE spaces SET world = draw_world(p_space) WHERE tenant_id = v_tenant AND space_id = p_space;
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
    DELETE FROM space_assets WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM sessions WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM world_stages WHERE tenant_id = v_tenant AND space_id = p_space;
    DELETE FROM log_spill WHERE tenant_id = v_tenant AND space_id = p_space;
    UPDATE spaces s
    SET incarnation = p_incarnation, world = draw_world(p_space),
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
--> statement-breakpoint
-- Notes that a space is written through a log in the Redis that p_instance names. From now on only the log gives the order. The log
-- was lost if it was in another Redis, or if it was opened more than a minute ago and is absent. Then an incident stores the seq.
-- Outcomes: the log's beginning; chat (see chat_rule); was_open, whether it was open before; is_lost, whether an incident says that
-- entries after the cursor are lost. No row if the space does not exist.
CREATE FUNCTION open_log(p_space text, p_instance text, p_is_absent boolean, p_incident text)
RETURNS TABLE (
  incarnation text, incarnation_seq bigint, log_cursor bigint, chat text, was_open boolean, is_lost boolean)
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
  RETURN QUERY SELECT v_space.incarnation, v_space.incarnation_seq, v_space.log_cursor, chat_rule(v_space.settings), v_was_open, v_is_lost;
END
$$;
-- Notes a reader that named p_seq as its last seq, although the log has no such entry. The log ends at p_last, or continues from there
-- with p_next. Acknowledged writes were lost, or the reader is wrong. Readers are not trusted. So a seq at or below the cursor that the
-- log does not exclude is not noted. Neither is a seq more than a minute ahead of the clock. A space gets one such incident an hour (the
-- id of the incident names the hour).
-- Outcomes: the cursor, and whether the incident was written; no row if the space has no such incarnation.
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
--> statement-breakpoint
-- Removes expired records of a tenant: results older than p_results_seconds, and dead letters older than p_dead_days. It also removes
-- incidents older than 90 days, written objects older than a minute, and messages that were deleted p_chat_days ago.
-- Outcome: the number of rows.
CREATE FUNCTION sweep_log_records(
  p_tenant text, p_results_seconds integer, p_dead_days integer, p_chat_days integer
) RETURNS bigint
LANGUAGE sql
AS $$
  WITH answered AS (
    DELETE FROM write_results
    WHERE tenant_id = p_tenant AND created_at < now() - make_interval(secs => p_results_seconds) RETURNING 1
  ), written AS (
    DELETE FROM written_objects
    WHERE tenant_id = p_tenant AND created_at < now() - interval '1 minute' RETURNING 1
  ), buried AS (
    DELETE FROM dead_letters
    WHERE tenant_id = p_tenant AND created_at < now() - make_interval(days => p_dead_days) RETURNING 1
  ), noted AS (
    DELETE FROM incidents WHERE tenant_id = p_tenant AND created_at < now() - interval '90 days' RETURNING 1
  ), unsaid AS (
    DELETE FROM chat_messages
    WHERE tenant_id = p_tenant AND deleted_at < now() - make_interval(days => p_chat_days) RETURNING 1
  )
  SELECT (SELECT count(*) FROM answered) + (SELECT count(*) FROM written) + (SELECT count(*) FROM buried)
    + (SELECT count(*) FROM noted) + (SELECT count(*) FROM unsaid)
$$;
--> statement-breakpoint
-- The same for all tenants, one after the other by their indexes.
CREATE FUNCTION sweep_all_log_records(p_results_seconds integer, p_dead_days integer, p_chat_days integer) RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT coalesce(sum(sweep_log_records(t.tenant_id, p_results_seconds, p_dead_days, p_chat_days)), 0)::bigint FROM tenants t
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION sweep_all_log_records(integer, integer, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION sweep_all_log_records(integer, integer, integer) TO worldkeep_app;
--> statement-breakpoint
-- A role that receives a function must be allowed to create one there, during the transfer.
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION sweep_all_log_records(integer, integer, integer) OWNER TO worldkeep_jobs;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
