-- An operation of a spilled request without the person. A message becomes the deletion of a message that was never there. An avatar
-- becomes an avatar that nobody has. So the request keeps its number of operations and its ids of messages. An id needs no escapes.
CREATE FUNCTION erase_from_operation(p_op json, p_user text, p_pseudonym text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
  SELECT CASE
    WHEN p_op ->> 'op' = 'chat.post' AND p_op ->> 'userId' = p_user
      THEN json_build_object('op', 'chat.delete', 'id', p_op -> 'id')::text
    WHEN p_op ->> 'op' = 'user.patch' AND p_op ->> 'id' = p_user
      THEN json_build_object('op', 'user.patch', 'id', p_pseudonym)::text
    WHEN p_op ->> 'op' = 'user.move'
      THEN replace(p_op::text, (p_op -> 'ids')::text, replace((p_op -> 'ids')::text, '"' || p_user || '"', '"' || p_pseudonym || '"'))
    ELSE p_op::text END
$$;
--> statement-breakpoint
-- Whether an id has the form of the ids of API keys, which no person can have. Nobody erases what a key did.
CREATE FUNCTION is_key_id(p_id text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$ SELECT p_id ~ '^key_[0-9a-f]{16}$' $$;
--> statement-breakpoint
-- The author of a message in a dead letter. The operation may have text that no jsonb and no text can hold, so ->> may fail.
CREATE FUNCTION message_author(p_op json) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$ SELECT substring(p_op::text FROM '"userId"\s*:\s*"([A-Za-z0-9._:-]+)"') $$;
--> statement-breakpoint
-- Whether properties or settings of an audit row name a person. Other members are columns and their values, which can equal an id.
CREATE FUNCTION names_person(p_content jsonb, p_user text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
  SELECT coalesce(strpos((p_content -> 'properties')::text, '"' || p_user || '"') > 0, false)
    OR coalesce(strpos((p_content -> 'settings')::text, '"' || p_user || '"') > 0, false)
$$;
--> statement-breakpoint
-- Whether an operation of a log names a person: as the author of a message, or as an avatar.
CREATE FUNCTION operation_names(p_op json, p_user text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
  SELECT coalesce(CASE p_op ->> 'op'
    WHEN 'chat.post' THEN p_op ->> 'userId' = p_user
    WHEN 'user.patch' THEN p_op ->> 'id' = p_user
    WHEN 'user.move' THEN strpos((p_op -> 'ids')::text, '"' || p_user || '"') > 0
  END, false)
$$;
--> statement-breakpoint
-- The media file that only this person's avatarUrl names; NULL if there is none, or if a world or another person uses it. It may read all
-- objects of the tenant.
CREATE FUNCTION find_own_avatar_file(p_user text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_media text;
  v_path text;
BEGIN
  SELECT m.media_id INTO v_media FROM users u JOIN media_assets m
    ON m.tenant_id = u.tenant_id AND m.media_id = substring(u.avatar_url FROM '/v1/media/([^/?#]+)/file$')
  WHERE u.tenant_id = v_tenant AND u.user_id = p_user AND m.file_sha256 IS NOT NULL;
  IF v_media IS NULL THEN
    RETURN NULL;
  END IF;
  v_path := '/v1/media/' || v_media || '/file';
  IF EXISTS (
      SELECT FROM users u WHERE u.tenant_id = v_tenant AND u.user_id <> p_user AND right(u.avatar_url, length(v_path)) = v_path)
    OR EXISTS (
      SELECT FROM space_assets a WHERE a.tenant_id = v_tenant AND a.kind = 'media' AND a.asset_id = v_media)
    OR EXISTS (
      SELECT FROM users u WHERE u.tenant_id = v_tenant AND u.user_id <> p_user AND strpos(u.properties::text, v_media) > 0)
    OR EXISTS (
      SELECT FROM spaces s WHERE s.tenant_id = v_tenant AND strpos(s.settings::text, v_media) > 0)
    OR EXISTS (
      SELECT FROM space_members m WHERE m.tenant_id = v_tenant AND m.user_id <> p_user
        AND strpos(m.properties::text, v_media) > 0)
    OR EXISTS (
      SELECT FROM worlds w JOIN world_objects o ON o.world = w.world
      WHERE w.tenant_id = v_tenant AND strpos(o.properties::text, v_media) > 0) THEN
    RETURN NULL;
  END IF;
  RETURN v_media;
END
$$;
--> statement-breakpoint
-- Removes a person from rows of the audit of the current tenant. A row that the person made keeps its content, and gets p_pseudonym as its
-- actor. A row about the person, or that names the person, keeps its actor, and loses its content. The hash of each row stays, so that
-- seals hold. p_media: a file of the person that is gone already. p_erased: other rows that were erased in this transaction. If there are
-- any, or if it changes rows, it adds a row that says so.
-- It looks at p_limit rows at most, behind (p_from, p_after) and before p_until. Older rows are erased a page at a time, before erase_user
-- locks the spaces. Rows of the last minute are left to erase_user: a transaction adds rows with the time of its beginning. Outcomes: changed, the number of rows; the place of
-- the last row that it looked at, NULL at the end.
CREATE FUNCTION erase_audit_page(
  p_user text, p_pseudonym text, p_media text, p_from timestamptz, p_after bigint, p_until timestamptz, p_limit integer, p_erased bigint,
  OUT changed bigint, OUT last_at timestamptz, OUT last_id bigint)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
-- A page is read along the index, and each changed row is found by it, whatever the planner believes of the table.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_seen bigint;
BEGIN
  IF p_pseudonym !~ '^erased:[0-9a-f-]{36}$' THEN
    RAISE EXCEPTION 'a pseudonym begins with erased:' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF is_key_id(p_user) THEN
    changed := 0;
    RETURN;
  END IF;
  WITH page AS MATERIALIZED (
    SELECT a.at, a.audit_id, coalesce(a.actor = p_user, false) AS is_actor, coalesce(
      a.user_id = p_user
      OR (a.table_name = 'media_assets' AND a.object_id = p_media)
      OR names_person(a.old, p_user) OR names_person(a.new, p_user), false) AS is_subject
    FROM audit_entries a
    WHERE a.tenant_id = v_tenant AND (a.at, a.audit_id) > (p_from, p_after) AND a.at < p_until
    ORDER BY a.at, a.audit_id LIMIT p_limit
  ), gone AS (
    UPDATE audit_entries e SET
      actor_hash = CASE WHEN p.is_actor THEN audit_actor_hash(e) ELSE e.actor_hash END,
      actor = CASE WHEN p.is_actor THEN p_pseudonym ELSE e.actor END,
      request_id = CASE WHEN NOT p.is_actor THEN e.request_id END,
      actor_salt = CASE WHEN NOT p.is_actor THEN e.actor_salt END,
      content_hash = CASE WHEN p.is_subject THEN audit_content_hash(e) ELSE e.content_hash END,
      old = CASE WHEN NOT p.is_subject THEN e.old END,
      new = CASE WHEN NOT p.is_subject THEN e.new END,
      object_id = CASE WHEN NOT p.is_subject THEN e.object_id END,
      user_id = CASE WHEN NOT p.is_subject THEN e.user_id END,
      content_salt = CASE WHEN NOT p.is_subject THEN e.content_salt END
    FROM page p
    WHERE (p.is_actor OR p.is_subject) AND e.tenant_id = v_tenant AND e.at = p.at AND e.audit_id = p.audit_id
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM page), l.at, l.audit_id INTO changed, v_seen, last_at, last_id
  FROM (SELECT) AS one LEFT JOIN LATERAL (
    SELECT p.at, p.audit_id FROM page p ORDER BY p.at DESC, p.audit_id DESC LIMIT 1
  ) AS l ON true;
  IF v_seen < p_limit THEN
    last_at := NULL;
    last_id := NULL;
  END IF;
  IF changed + p_erased > 0 THEN
    PERFORM note_erasure(p_user, p_pseudonym, changed + p_erased);
  END IF;
END
$$;
--> statement-breakpoint
-- Notes in the audit that a person was erased, and how many rows that changed.
CREATE FUNCTION note_erasure(p_user text, p_pseudonym text, p_rows bigint) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  PERFORM add_day('audit_entries', (now() AT TIME ZONE 'UTC')::date);
  INSERT INTO audit_entries (tenant_id, actor, request_id, table_name, action, object_id, new)
  VALUES (
    current_tenant(), nullif((read_audit_origin()).actor, p_user),
    nullif(current_setting('app.request_id', true), ''),
    'users', 'erase', p_pseudonym, jsonb_build_object('rows', p_rows));
END
$$;
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
DO $$
DECLARE
  v_function regprocedure;
BEGIN
  FOREACH v_function IN ARRAY ARRAY[
    'erase_audit_page(text, text, text, timestamptz, bigint, timestamptz, integer, bigint)',
    'note_erasure(text, text, bigint)']::regprocedure[]
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
    -- Only erase_audit_page calls note_erasure, which trusts its caller.
    IF v_function <> 'note_erasure(text, text, bigint)'::regprocedure THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO worldkeep_app', v_function);
    END IF;
    EXECUTE format('ALTER FUNCTION %s OWNER TO worldkeep_jobs', v_function);
  END LOOP;
END
$$;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
--> statement-breakpoint
-- Erases a person. Their row, memberships, avatars, sessions, messages and events are deleted, and the file that only they used. Their
-- objects in all worlds (also replaced and staged ones) get p_pseudonym, so that they still have one common author. Entries in a log are
-- applied later; erasing again finds them, and also the writes of a session that was still open in another process.
-- p_media: as find_own_avatar_file says. p_audited: the older rows of the audit that were changed before. p_messages_max: more messages are
-- left to the next call, because the audit notes each row.
-- Outcome: the numbers of erased rows by kind, and objectKey, the object of the bucket that is to be deleted; NULL if there was nothing.
CREATE FUNCTION erase_user(p_user text, p_pseudonym text, p_media text, p_audited bigint, p_messages_max integer) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_named text := '"' || p_user || '"';
  v_object_key text;
  v_count bigint;
  v_total bigint := 0;
  v_counts jsonb := '{}';
BEGIN
  IF is_key_id(p_user) THEN
    RETURN NULL;
  END IF;
  -- Every write to a world locks its space. With all spaces locked, in one order, no write comes between and none deadlocks.
  PERFORM FROM spaces WHERE tenant_id = v_tenant ORDER BY space_id FOR NO KEY UPDATE;

  -- Every object that they signed has their number.
  UPDATE authors SET author_id = p_pseudonym WHERE tenant_id = v_tenant AND author_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('authors', v_count);
  WITH own AS MATERIALIZED (
    SELECT space_id, message_id FROM chat_messages WHERE tenant_id = v_tenant AND user_id = p_user LIMIT p_messages_max
  )
  DELETE FROM chat_messages m USING own o
  WHERE m.tenant_id = v_tenant AND m.space_id = o.space_id AND m.message_id = o.message_id;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('messages', v_count);

  DELETE FROM dead_letters
  WHERE tenant_id = v_tenant
    AND ((kind = 'avatar' AND target_id = p_user) OR (kind = 'message' AND message_author(op) = p_user));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('deadLetters', v_count);
  UPDATE dead_letters SET actor = p_pseudonym WHERE tenant_id = v_tenant AND actor = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_total := v_total + v_count;
  UPDATE write_results SET results = (
    SELECT jsonb_agg(CASE WHEN r.value ->> 'id' = p_user THEN r.value || jsonb_build_object('id', p_pseudonym) ELSE r.value END
      ORDER BY r.ordinality)
    FROM jsonb_array_elements(results) WITH ORDINALITY AS r)
  WHERE tenant_id = v_tenant AND results @> jsonb_build_array(jsonb_build_object('id', p_user));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_total := v_total + v_count;
  -- A world that waits in a log does not bring the person back.
  UPDATE world_stages SET aside = json_build_object(
    'users', CASE WHEN json_typeof(aside -> 'users') = 'array' THEN
      (SELECT coalesce(json_agg(u.value), '[]') FROM json_array_elements(aside -> 'users') AS u
        WHERE u.value ->> 'id' <> p_user) END,
    'models', aside -> 'models', 'media', aside -> 'media',
    'chat', (SELECT coalesce(json_agg(c.value), '[]') FROM json_array_elements(aside -> 'chat') AS c
      WHERE c.value ->> 'user' IS DISTINCT FROM p_user))
  WHERE tenant_id = v_tenant AND strpos(aside::text, v_named) > 0;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_total := v_total + v_count;

  -- Requests that wait for Redis, as JSON in JSON: operations are texts there.
  UPDATE log_spill SET
    actor = CASE WHEN actor = p_user THEN p_pseudonym ELSE actor END,
    request_id = CASE WHEN actor IS DISTINCT FROM p_user THEN request_id END,
    principal = CASE WHEN principal = 'u:' || p_user THEN 'u:' || p_pseudonym ELSE principal END,
    entries = (
      SELECT json_agg((e.value::jsonb || jsonb_build_object('ops', (
        SELECT '[' || string_agg(erase_from_operation(o.value, p_user, p_pseudonym), ',' ORDER BY o.ordinality) || ']'
        FROM json_array_elements((e.value ->> 'ops')::json) WITH ORDINALITY AS o)))::json ORDER BY e.ordinality)
      FROM json_array_elements(entries) WITH ORDINALITY AS e)
  WHERE tenant_id = v_tenant
    AND (actor = p_user OR principal = 'u:' || p_user OR strpos(entries::text, chr(92) || '"' || p_user || chr(92) || '"') > 0);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('spilled', v_count);
  DELETE FROM events WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('events', v_count);
  DELETE FROM person_days WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('days', v_count);
  DELETE FROM sessions WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('sessions', v_count);
  DELETE FROM space_members WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('memberships', v_count);
  -- Moves tenants.rev, whether the row was there or not: what a state shows of its authors has changed.
  DELETE FROM users WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_counts := v_counts || jsonb_build_object('profiles', v_count);
  IF p_media IS NOT NULL THEN
    SELECT d.object_key INTO v_object_key FROM delete_asset('media', p_media) AS d;
  END IF;
  v_counts := v_counts || jsonb_build_object('files', num_nonnulls(p_media));

  v_total := v_total + (SELECT sum(c.value::bigint) FROM jsonb_each_text(v_counts) AS c);
  -- The last step: the triggers have just written what the steps before removed.
  SELECT p_audited + p.changed INTO v_count FROM erase_audit_page(
    p_user, p_pseudonym, p_media, now() - interval '1 minute', 0, 'infinity', 2147483647, v_total) AS p;
  IF v_total + v_count = 0 THEN
    RETURN NULL;
  END IF;
  RETURN v_counts || jsonb_build_object('audit', v_count, 'objectKey', v_object_key);
END
$$;
--> statement-breakpoint
-- RFC 3339 in UTC, with milliseconds.
CREATE FUNCTION to_iso(p_at timestamptz) RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;
--> statement-breakpoint
-- A page of one part of the data of a person, in the order of `place`. p_after: the place of the last item of the page before, ''
-- for the first. See the document that GET /v1/users/{id}/export answers.
CREATE FUNCTION export_person(p_user text, p_part text, p_after text, p_limit integer) RETURNS TABLE (place text, item json)
LANGUAGE plpgsql STABLE
-- Each page continues in an index, so that all pages together read the rows once.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
  v_tenant text := current_tenant();
  -- The parts of p_after, by what p_part has there.
  v_space text := split_part(p_after, ' ', 1);
  v_rest text := split_part(p_after, ' ', 2);
  v_time timestamptz := '-infinity';
  v_day date := '-infinity';
  v_number bigint := 0;
  v_author bigint;
BEGIN
  IF p_after <> '' THEN
    CASE
      WHEN p_part IN ('events', 'audit') THEN
        v_time := split_part(p_after, '|', 1)::timestamptz;
        v_number := CASE p_part WHEN 'audit' THEN split_part(p_after, '|', 2)::bigint END;
      WHEN p_part = 'days' THEN
        v_day := v_space::date;
      WHEN p_part = 'spilled' THEN
        v_number := v_rest::bigint;
      ELSE
        NULL;
    END CASE;
  END IF;
  CASE p_part
    WHEN 'memberships' THEN
      RETURN QUERY
      SELECT m.space_id, json_build_object(
        'spaceId', m.space_id, 'role', m.role, 'joinedAt', to_iso(m.joined_at), 'properties', m.properties,
        'position', CASE WHEN m.position_x IS NOT NULL THEN
          json_build_object('x', m.position_x, 'y', m.position_y, 'z', m.position_z) END,
        'rotation', CASE WHEN m.position_x IS NOT NULL THEN
          json_build_object('x', m.rotation_x, 'y', m.rotation_y, 'z', m.rotation_z, 'w', m.rotation_w) END)
      FROM space_members m
      WHERE m.tenant_id = v_tenant AND m.user_id = p_user AND m.space_id > p_after
      ORDER BY m.space_id LIMIT p_limit;
    WHEN 'sessions' THEN
      RETURN QUERY
      SELECT s.session_id, json_build_object(
        'id', s.session_id, 'spaceId', s.space_id, 'role', s.role, 'createdAt', to_iso(s.created_at),
        'expiresAt', to_iso(s.expires_at), 'lastHeartbeatAt', to_iso(s.last_heartbeat_at), 'endedAt', to_iso(s.ended_at))
      FROM sessions s
      WHERE s.tenant_id = v_tenant AND s.user_id = p_user AND s.session_id > p_after
      ORDER BY s.session_id LIMIT p_limit;
    WHEN 'messages' THEN
      RETURN QUERY
      SELECT m.space_id || ' ' || m.message_id, json_build_object(
        'id', m.message_id, 'spaceId', m.space_id, 'text', m.text, 'kind', m.kind, 'seq', m.seq,
        'createdAt', to_iso(m.created_at), 'deletedAt', to_iso(m.deleted_at))
      FROM chat_messages m
      WHERE m.tenant_id = v_tenant AND m.user_id = p_user AND (m.space_id, m.message_id) > (v_space, v_rest)
      ORDER BY m.space_id, m.message_id LIMIT p_limit;
    WHEN 'objects' THEN
      SELECT a.number INTO v_author FROM authors a WHERE a.tenant_id = v_tenant AND a.author_id = p_user;
      RETURN QUERY
      SELECT s.space_id || ' ' || o.object_id, json_build_object(
        'id', o.object_id, 'spaceId', s.space_id,
        'created', coalesce(o.created_by = v_author, false), 'updated', coalesce(o.updated_by = v_author, false))
      FROM spaces s CROSS JOIN LATERAL (
        SELECT w.object_id, w.created_by, w.updated_by FROM world_objects w
        WHERE w.world = s.world AND w.object_id > CASE WHEN s.space_id = v_space THEN v_rest ELSE '' END
          AND (w.created_by = v_author OR w.updated_by = v_author)
        ORDER BY w.object_id LIMIT p_limit
      ) AS o
      WHERE s.tenant_id = v_tenant AND s.deleted_at IS NULL AND s.space_id >= v_space
      ORDER BY s.space_id, o.object_id LIMIT p_limit;
    WHEN 'events' THEN
      RETURN QUERY
      SELECT e.created_at::text || '|' || e.event_id, json_build_object(
        'id', e.event_id, 'type', e.type, 'spaceId', e.space_id, 'at', to_iso(e.at), 'data', e.data)
      FROM events e
      WHERE e.tenant_id = v_tenant AND e.user_id = p_user
        AND (e.created_at, e.event_id) > (v_time, split_part(p_after, '|', 2))
      ORDER BY e.created_at, e.event_id LIMIT p_limit;
    WHEN 'days' THEN
      RETURN QUERY
      SELECT d.day || ' ' || d.space_id, json_build_object(
        'day', d.day, 'spaceId', nullif(d.space_id, ''), 'sessions', d.sessions, 'seconds', d.seconds)
      FROM person_days d
      WHERE d.tenant_id = v_tenant AND d.user_id = p_user
        AND (d.day, d.space_id) > (v_day, v_rest)
      ORDER BY d.day, d.space_id LIMIT p_limit;
    WHEN 'deadLetters' THEN
      RETURN QUERY
      SELECT l.dead_letter_id, json_build_object(
        'id', l.dead_letter_id, 'spaceId', l.space_id, 'op', l.op, 'createdAt', to_iso(l.created_at))
      FROM dead_letters l
      WHERE l.tenant_id = v_tenant AND l.dead_letter_id > p_after
        AND (l.actor = p_user OR (l.kind = 'avatar' AND l.target_id = p_user)
          OR (l.kind = 'message' AND message_author(l.op) = p_user))
      ORDER BY l.dead_letter_id LIMIT p_limit;
    WHEN 'spilled' THEN
      -- Only the operations that name the person, if somebody else sent the request.
      RETURN QUERY
      SELECT l.space_id || ' ' || lpad(l.spill_id::text, 20, '0'), json_build_object(
        'spaceId', l.space_id, 'createdAt', to_iso(l.created_at), 'operations', (
          SELECT coalesce(json_agg(o.value ORDER BY e.ordinality, o.ordinality), '[]')
          FROM json_array_elements(l.entries) WITH ORDINALITY AS e,
            json_array_elements((e.value ->> 'ops')::json) WITH ORDINALITY AS o
          WHERE l.actor = p_user OR operation_names(o.value, p_user)))
      FROM log_spill l
      WHERE l.tenant_id = v_tenant AND (l.space_id, l.spill_id) > (v_space, v_number)
        AND (l.actor = p_user OR EXISTS (
          SELECT FROM json_array_elements(l.entries) AS e, json_array_elements((e.value ->> 'ops')::json) AS o
          WHERE operation_names(o.value, p_user)))
      ORDER BY l.space_id, l.spill_id LIMIT p_limit;
    WHEN 'audit' THEN
      RETURN QUERY
      SELECT e.at::text || '|' || e.audit_id, json_build_object(
        'id', e.audit_id::text, 'at', to_iso(e.at), 'actor', e.actor, 'requestId', e.request_id, 'table', e.table_name,
        'action', e.action, 'spaceId', e.space_id, 'objectId', e.object_id, 'userId', e.user_id, 'old', e.old, 'new', e.new,
        'isErased', e.actor_hash IS NOT NULL OR e.content_hash IS NOT NULL)
      FROM audit_entries e
      WHERE e.tenant_id = v_tenant
        AND (e.at, e.audit_id) > (v_time, v_number)
        AND (e.actor = p_user OR e.user_id = p_user)
      ORDER BY e.at, e.audit_id LIMIT p_limit;
  END CASE;
END
$$;
