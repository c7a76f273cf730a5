-- Who becomes known to a space by way of a saved world is no more than a viewer until somebody says otherwise.
ALTER TABLE "space_members" ALTER COLUMN "role" SET DEFAULT 'viewer';
--> statement-breakpoint
-- Opens a person's stay in a space, and makes them its member. A role given is from now on the member's role; without one
-- the stay has the role the member has, and a new member is a viewer.
-- Outcomes: the stay's role; NULL where the space or the person is not there.
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
