-- Opens a session of a person in a space, and makes the person its member. A given role becomes the role of the member. Without one the
-- session has the member's role, and a new member is a viewer.
-- Outcomes: the session's role; NULL if the space or the person does not exist.
CREATE FUNCTION mint_session(p_session text, p_space text, p_user text, p_role text, p_now timestamptz, p_expires timestamptz)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_role text;
BEGIN
  -- Locked as a foreign key would: neither can be removed before this ends, and no write to the world waits for it.
  PERFORM FROM spaces
  WHERE tenant_id = v_tenant AND space_id = p_space AND deleted_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  PERFORM FROM users WHERE tenant_id = v_tenant AND user_id = p_user FOR KEY SHARE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;

  INSERT INTO space_members AS known (tenant_id, space_id, user_id, role, joined_at)
  VALUES (v_tenant, p_space, p_user, coalesce(p_role, 'viewer'), p_now)
  ON CONFLICT (tenant_id, space_id, user_id) DO UPDATE SET role = coalesce(p_role, known.role)
  RETURNING role INTO v_role;
  INSERT INTO sessions (tenant_id, session_id, space_id, user_id, role, created_at, expires_at)
  VALUES (v_tenant, p_session, p_space, p_user, v_role, p_now, p_expires);
  RETURN v_role;
END
$$;
--> statement-breakpoint
-- Erases a person. Their row, memberships, avatars, sessions and events are deleted, and their messages stay without an author. Their
-- objects in all worlds (also replaced and staged ones) get p_pseudonym, so that they still have one common author. Entries in a log are applied
-- later; erasing again finds them, and also the writes of a session that was still open in another process.
-- Outcome: whether there was anything to erase.
CREATE FUNCTION erase_user(p_user text, p_pseudonym text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_count bigint;
  v_erased bigint := 0;
  -- The author of a message in a spilled request.
  v_author text := format(
    '(\\"op\\":\\"chat\.post\\",\\"id\\":\\"[^"\\]+\\",\\"userId\\":)\\"%s\\"', replace(p_user, '.', '\.'));
BEGIN
  -- Every write to a world locks its space. With all spaces locked, in one order, no write comes between and none deadlocks.
  PERFORM FROM spaces WHERE tenant_id = v_tenant ORDER BY space_id FOR NO KEY UPDATE;

  -- Every object that they signed has their number.
  UPDATE authors SET author_id = p_pseudonym WHERE tenant_id = v_tenant AND author_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;
  UPDATE chat_messages SET user_id = NULL WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;

  DELETE FROM dead_letters
  WHERE tenant_id = v_tenant AND kind = 'avatar' AND target_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;
  UPDATE dead_letters SET op = (op::jsonb || '{"userId": null}')::json
  WHERE tenant_id = v_tenant AND kind = 'message' AND op ->> 'userId' = p_user;
  UPDATE dead_letters SET actor = p_pseudonym WHERE tenant_id = v_tenant AND actor = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;
  UPDATE write_results SET results = (
    SELECT jsonb_agg(CASE WHEN r.value ->> 'id' = p_user THEN r.value || jsonb_build_object('id', p_pseudonym) ELSE r.value END
      ORDER BY r.ordinality)
    FROM jsonb_array_elements(results) WITH ORDINALITY AS r)
  WHERE tenant_id = v_tenant AND results @> jsonb_build_array(jsonb_build_object('id', p_user));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;
  -- A world that waits in a log does not bring the person back.
  UPDATE world_stages SET aside = json_build_object(
    'users', CASE WHEN json_typeof(aside -> 'users') = 'array' THEN
      (SELECT coalesce(json_agg(u.value), '[]') FROM json_array_elements(aside -> 'users') AS u
        WHERE u.value ->> 'id' <> p_user) END,
    'models', aside -> 'models', 'media', aside -> 'media',
    'chat', (SELECT coalesce(json_agg(
        CASE WHEN c.value ->> 'user' = p_user THEN (c.value::jsonb || '{"user": null}')::json ELSE c.value END), '[]')
      FROM json_array_elements(aside -> 'chat') AS c))
  WHERE tenant_id = v_tenant AND strpos(aside::text, to_json(p_user)::text) > 0;

  -- Requests that wait for Redis, as JSON in JSON: operations are texts there. An id needs no escapes.
  UPDATE log_spill SET actor = p_pseudonym WHERE tenant_id = v_tenant AND actor = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;
  UPDATE log_spill SET entries = regexp_replace(entries::text, v_author, '\1null', 'g')::json
  WHERE tenant_id = v_tenant AND cardinality(posted_ids) > 0 AND entries::text ~ v_author;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;
  DELETE FROM events WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;
  DELETE FROM person_days WHERE tenant_id = v_tenant AND user_id = p_user;
  DELETE FROM sessions WHERE tenant_id = v_tenant AND user_id = p_user;
  DELETE FROM space_members WHERE tenant_id = v_tenant AND user_id = p_user;
  -- Moves tenants.rev, whether the row was there or not: what a state shows of its authors has changed.
  DELETE FROM users WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_erased + v_count > 0;
END
$$;
