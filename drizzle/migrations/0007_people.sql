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
