-- Erases a person: their row, memberships, avatars and sessions go, their messages stay without an author, and what they
-- made in the worlds (those replaced or staged too) is signed with p_pseudonym, so that it is still seen to be one
-- person's. What a stay that was still open elsewhere wrote after that is found by erasing once more.
-- Goes through all objects of the tenant by their key: an index by author would cost every write, for what is rare.
-- What is still in a log is none of its business: it is applied later, and erasing once more finds it.
-- Outcome: whether there was anything to erase.
CREATE OR REPLACE FUNCTION erase_user(p_user text, p_pseudonym text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_count bigint;
  v_erased bigint := 0;
BEGIN
  -- Whoever writes to a world holds its space: with all of them held, in one order, no write comes between or deadlocks.
  PERFORM FROM spaces WHERE tenant_id = v_tenant ORDER BY space_id FOR NO KEY UPDATE;

  UPDATE world_objects SET
    created_by = CASE WHEN created_by = p_user THEN p_pseudonym ELSE created_by END,
    updated_by = CASE WHEN updated_by = p_user THEN p_pseudonym ELSE updated_by END
  WHERE tenant_id = v_tenant AND (created_by = p_user OR updated_by = p_user);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;

  UPDATE written_objects SET
    created_by = CASE WHEN created_by = p_user THEN p_pseudonym ELSE created_by END,
    updated_by = CASE WHEN updated_by = p_user THEN p_pseudonym ELSE updated_by END
  WHERE tenant_id = v_tenant AND (created_by = p_user OR updated_by = p_user);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;

  UPDATE chat_messages SET user_id = NULL WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;

  DELETE FROM dead_letters
  WHERE tenant_id = v_tenant AND kind = 'avatar' AND target_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_erased := v_erased + v_count;
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
  -- Who comes with a world that waits in a log does not come back with it.
  UPDATE world_stages SET aside = json_build_object(
    'users', CASE WHEN json_typeof(aside -> 'users') = 'array' THEN
      (SELECT coalesce(json_agg(u.value), '[]') FROM json_array_elements(aside -> 'users') AS u
        WHERE u.value ->> 'id' <> p_user) END,
    'models', aside -> 'models', 'media', aside -> 'media',
    'chat', (SELECT coalesce(json_agg(
        CASE WHEN c.value ->> 'user' = p_user THEN (c.value::jsonb || '{"user": null}')::json ELSE c.value END), '[]')
      FROM json_array_elements(aside -> 'chat') AS c))
  WHERE tenant_id = v_tenant AND strpos(aside::text, to_json(p_user)::text) > 0;

  DELETE FROM sessions WHERE tenant_id = v_tenant AND user_id = p_user;
  DELETE FROM space_members WHERE tenant_id = v_tenant AND user_id = p_user;
  -- Moves tenants.rev, whether the row was there or not: what a state shows of its authors has changed.
  DELETE FROM users WHERE tenant_id = v_tenant AND user_id = p_user;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_erased + v_count > 0;
END
$$;
