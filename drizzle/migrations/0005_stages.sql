-- Opens a world on its way in, under a number of its own that no space names yet. Whether the space is there.
CREATE FUNCTION begin_stage(p_space text, p_stage text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_world bigint;
BEGIN
  -- A lock that no write to the world waits for: only the row itself must not go.
  PERFORM FROM spaces WHERE tenant_id = v_tenant AND space_id = p_space AND deleted_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  v_world := draw_world(p_space);
  INSERT INTO world_stages (tenant_id, stage_id, space_id, world) VALUES (v_tenant, p_stage, p_space, v_world);
  RETURN true;
END
$$;
--> statement-breakpoint
-- Adds objects to a staged world, any number in one statement. p_objects: a list of {id, name, model, parent, px … sz, props,
-- creator, createdSeq}; what is absent has its default. p_authors: the ids of authors, the caller's first; creator is a place in
-- it. p_is_session: the caller may not sign as somebody else; see flip_stage.
-- Outcome: whether the stage is there (it is not once it was committed, or was left alone for an hour).
CREATE FUNCTION stage_objects(p_stage text, p_authors text[], p_is_session boolean, p_objects json) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_stage world_stages%ROWTYPE;
  v_authors bigint[] := number_authors(p_authors);
  v_count integer;
BEGIN
  SELECT * INTO v_stage FROM world_stages
  WHERE tenant_id = current_tenant() AND stage_id = p_stage FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;

  INSERT INTO world_objects (
    world, object_id, seq, created_seq, name, model_id, parent_id,
    position_x, position_y, position_z, rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z,
    properties, created_by, updated_by)
  SELECT
    v_stage.world, o.id, 0, coalesce("createdSeq", 0), name, model, parent,
    coalesce(px, 0), coalesce(py, 0), coalesce(pz, 0),
    coalesce(rx, 0), coalesce(ry, 0), coalesce(rz, 0), coalesce(rw, 1),
    coalesce(sx, 1), coalesce(sy, 1), coalesce(sz, 1),
    coalesce(props, '{}'), v_authors[CASE WHEN p_is_session THEN 1 ELSE coalesce(creator, 1) END], v_authors[1]
  FROM json_to_recordset(p_objects) AS o (
    id text, name text, model text, parent text, px float8, py float8, pz float8, rx float8, ry float8, rz float8,
    rw float8, sx float8, sy float8, sz float8, props jsonb, creator integer, "createdSeq" bigint);
  GET DIAGNOSTICS v_count = ROW_COUNT;

  UPDATE world_stages SET objects = objects + v_count, touched_at = now(), is_session = p_is_session
  WHERE tenant_id = v_stage.tenant_id AND stage_id = p_stage;
  RETURN true;
END
$$;
--> statement-breakpoint
-- Removes objects from a staged world: objects that are gone, and objects that are about to be staged again.
-- p_ids: a list of ids, of which any may not be there.
-- Outcome: whether the stage is there.
CREATE FUNCTION unstage_objects(p_stage text, p_ids json) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_stage world_stages%ROWTYPE;
  v_count integer;
BEGIN
  SELECT * INTO v_stage FROM world_stages
  WHERE tenant_id = current_tenant() AND stage_id = p_stage FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM world_objects o
  WHERE o.world = v_stage.world AND o.object_id = ANY (ARRAY(SELECT json_array_elements_text(p_ids)));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  UPDATE world_stages SET objects = objects - v_count, touched_at = now()
  WHERE tenant_id = v_stage.tenant_id AND stage_id = p_stage;
  RETURN true;
END
$$;
--> statement-breakpoint
-- Says that an entry of the log will name the stage, and keeps what comes with its objects until then. p_aside: {users, models,
-- media, chat}, as flip_stage takes them; users may be absent. Outcome: the objects staged; NULL where the stage is not there.
CREATE FUNCTION queue_stage(p_stage text, p_aside json) RETURNS integer
LANGUAGE sql
AS $$
  UPDATE world_stages SET queued_at = now(), aside = p_aside
  WHERE tenant_id = current_tenant() AND stage_id = p_stage
  RETURNING objects
$$;
--> statement-breakpoint
-- Makes a staged world the space's, all or nothing at any size, as the step p_seq of its order. s: the space, locked. t: the
-- stage, whose row is gone already.
-- p_mode replace: the staged objects are the world, and p_users, if not NULL, are its avatars. Where a session saved it, an
-- object that the world has until now keeps its author and its beginning. merge: the staged objects
-- are put, the others kept. People, models, media and messages given are put in either mode and never removed: they are
-- more than this world's present. People already known keep their names, messages already there stay as they are. space_assets notes
-- the models and media that came with the world.
-- p_users: [{id, name, url, px, py, pz, rx, ry, rz, rw, props}]. p_models, p_media: [{id, name, url, sha256, bytes, type}].
-- p_chat: [{id, user, text, kind, at}].
CREATE FUNCTION flip_stage(
  s spaces, t world_stages, p_seq bigint, p_mode text, p_users json, p_models json, p_media json, p_chat json
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  IF p_mode = 'replace' THEN
    IF t.is_session THEN
      UPDATE world_objects n SET
        created_by = o.created_by, created_seq = coalesce(nullif(o.created_seq, 0), s.generation_seq)
      FROM world_objects o
      WHERE n.world = t.world AND o.world = s.world AND o.object_id = n.object_id;
    END IF;
    UPDATE spaces SET world = t.world, generation_seq = p_seq, log_cursor = p_seq
    WHERE tenant_id = s.tenant_id AND space_id = s.space_id;
  ELSE
    UPDATE spaces SET log_cursor = p_seq WHERE tenant_id = s.tenant_id AND space_id = s.space_id;
    INSERT INTO world_objects AS kept (
      world, object_id, seq, created_seq, name, model_id, parent_id,
      position_x, position_y, position_z, rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z,
      properties, created_by, updated_by)
    SELECT
      s.world, o.object_id, p_seq, coalesce(nullif(o.created_seq, 0), p_seq), o.name,
      o.model_id, o.parent_id, o.position_x, o.position_y, o.position_z, o.rotation_x, o.rotation_y, o.rotation_z,
      o.rotation_w, o.scale_x, o.scale_y, o.scale_z, o.properties, o.created_by, o.updated_by
    FROM world_objects o
    WHERE o.world = t.world
    ON CONFLICT (world, object_id) DO UPDATE SET
      seq = excluded.seq, created_seq = coalesce(nullif(kept.created_seq, 0), s.generation_seq),
      name = excluded.name, model_id = excluded.model_id, parent_id = excluded.parent_id,
      position_x = excluded.position_x, position_y = excluded.position_y, position_z = excluded.position_z,
      rotation_x = excluded.rotation_x, rotation_y = excluded.rotation_y, rotation_z = excluded.rotation_z,
      rotation_w = excluded.rotation_w,
      scale_x = excluded.scale_x, scale_y = excluded.scale_y, scale_z = excluded.scale_z,
      properties = excluded.properties, updated_by = excluded.updated_by;
  END IF;

  IF json_array_length(p_users) > 0 THEN
    INSERT INTO users (tenant_id, user_id, display_name, avatar_url)
    SELECT s.tenant_id, id, name, url FROM json_to_recordset(p_users) AS u (id text, name text, url text)
    ON CONFLICT (tenant_id, user_id) DO NOTHING;
  END IF;
  IF p_users IS NOT NULL AND p_mode = 'replace' THEN
    UPDATE space_members SET seq = p_seq, properties = '{}',
      position_x = NULL, position_y = NULL, position_z = NULL,
      rotation_x = NULL, rotation_y = NULL, rotation_z = NULL, rotation_w = NULL
    WHERE tenant_id = s.tenant_id AND space_id = s.space_id AND position_x IS NOT NULL;
  END IF;
  IF json_array_length(p_users) > 0 THEN
    INSERT INTO space_members (
      tenant_id, space_id, user_id, seq, position_x, position_y, position_z,
      rotation_x, rotation_y, rotation_z, rotation_w, properties)
    SELECT s.tenant_id, s.space_id, id, p_seq, px, py, pz, rx, ry, rz, rw, props
    FROM json_to_recordset(p_users) AS u (
      id text, px float8, py float8, pz float8, rx float8, ry float8, rz float8, rw float8, props jsonb)
    ON CONFLICT (tenant_id, space_id, user_id) DO UPDATE SET
      seq = excluded.seq, properties = excluded.properties,
      position_x = excluded.position_x, position_y = excluded.position_y, position_z = excluded.position_z,
      rotation_x = excluded.rotation_x, rotation_y = excluded.rotation_y, rotation_z = excluded.rotation_z,
      rotation_w = excluded.rotation_w;
  END IF;
  IF json_array_length(p_models) > 0 THEN
    INSERT INTO uploaded_models AS known (tenant_id, model_id, name, url, sha256, bytes, content_type)
    SELECT s.tenant_id, id, name, url, decode(sha256, 'hex'), bytes, type
    FROM json_to_recordset(p_models) AS m (id text, name text, url text, sha256 text, bytes bigint, type text)
    ON CONFLICT (tenant_id, model_id) DO UPDATE SET
      name = excluded.name, url = excluded.url, sha256 = excluded.sha256, bytes = excluded.bytes,
      content_type = excluded.content_type
    -- A stored file decides these itself.
    WHERE known.file_sha256 IS NULL;
  END IF;
  IF json_array_length(p_media) > 0 THEN
    INSERT INTO media_assets AS known (tenant_id, media_id, name, url, sha256, bytes, content_type)
    SELECT s.tenant_id, id, name, url, decode(sha256, 'hex'), bytes, type
    FROM json_to_recordset(p_media) AS m (id text, name text, url text, sha256 text, bytes bigint, type text)
    ON CONFLICT (tenant_id, media_id) DO UPDATE SET
      name = excluded.name, url = excluded.url, sha256 = excluded.sha256, bytes = excluded.bytes,
      content_type = excluded.content_type
    -- A stored file decides these itself.
    WHERE known.file_sha256 IS NULL;
  END IF;
  -- A session saves no models and media, so the list of the world stays.
  IF p_mode = 'replace' AND NOT t.is_session THEN
    DELETE FROM space_assets WHERE tenant_id = s.tenant_id AND space_id = s.space_id;
  END IF;
  UPDATE tenants SET rev = rev + 1
  WHERE tenant_id = s.tenant_id AND json_array_length(p_models) + json_array_length(p_media) > 0;
  INSERT INTO space_assets (tenant_id, space_id, kind, asset_id)
  SELECT s.tenant_id, s.space_id, 'model', id FROM json_to_recordset(p_models) AS m (id text)
  UNION ALL SELECT s.tenant_id, s.space_id, 'media', id FROM json_to_recordset(p_media) AS m (id text)
  ON CONFLICT (tenant_id, space_id, kind, asset_id) DO NOTHING;
  IF json_array_length(p_chat) > 0 THEN
    INSERT INTO chat_messages (tenant_id, space_id, message_id, user_id, text, kind, seq, created_at)
    SELECT s.tenant_id, s.space_id, id, "user", text, kind, p_seq, coalesce(at, now())
    FROM json_to_recordset(p_chat) AS c (id text, "user" text, text text, kind text, at timestamptz)
    ON CONFLICT (tenant_id, space_id, message_id) DO NOTHING;
  END IF;
END
$$;
--> statement-breakpoint
-- Makes a queued stage the space's world at its entry in the log. It moves the cursor from p_from to p_to, as apply_batch does. A stage
-- that is missing or invalid goes to dead_letters as p_letter, and the log continues.
-- Outcomes: applied (objects), dead, moved (at_cursor, at_incarnation), unknown_space, log_open, as of apply_batch.
CREATE FUNCTION apply_stage(
  p_space text, p_incarnation text, p_from bigint, p_to bigint, p_stage text, p_mode text, p_actor text, p_request text,
  p_waits boolean, p_letter text, p_incidents jsonb, p_is_direct boolean, p_audits_moves boolean,
  OUT status text, OUT at_cursor bigint, OUT at_incarnation text, OUT objects integer)
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_space spaces%ROWTYPE;
  v_stage world_stages%ROWTYPE;
  v_sqlstate text;
  v_constraint text;
BEGIN
  SELECT * INTO v_space FROM spaces s
  WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    status := 'unknown_space';
    RETURN;
  END IF;
  IF p_is_direct AND v_space.log_instance IS NOT NULL THEN
    status := 'log_open';
    RETURN;
  END IF;
  IF v_space.log_cursor <> p_from OR v_space.incarnation <> p_incarnation THEN
    status := 'moved';
    at_cursor := v_space.log_cursor;
    at_incarnation := v_space.incarnation;
    RETURN;
  END IF;

  PERFORM set_config('app.actor', coalesce(p_actor, ''), true), set_config('app.request_id', coalesce(p_request, ''), true),
    set_config('app.audit_moves', CASE WHEN p_audits_moves THEN 'on' ELSE 'off' END, true);
  status := 'dead';
  BEGIN
    DELETE FROM world_stages w
    WHERE w.tenant_id = v_tenant AND w.stage_id = p_stage AND w.space_id = p_space AND w.queued_at IS NOT NULL
    RETURNING * INTO v_stage;
    IF FOUND THEN
      PERFORM flip_stage(
        v_space, v_stage, p_to, p_mode,
        CASE WHEN json_typeof(v_stage.aside -> 'users') = 'array' THEN v_stage.aside -> 'users' END,
        v_stage.aside -> 'models', v_stage.aside -> 'media', v_stage.aside -> 'chat');
      status := 'applied';
      objects := v_stage.objects;
    END IF;
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
    GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_constraint = CONSTRAINT_NAME;
  END;

  IF status = 'dead' THEN
    UPDATE spaces s SET log_cursor = p_to WHERE s.tenant_id = v_tenant AND s.space_id = p_space;
    INSERT INTO dead_letters (
      tenant_id, dead_letter_id, space_id, incarnation, seq, index, actor, kind, target_id, op, sql_state, constraint_name)
    VALUES (
      v_tenant, p_letter, p_space, p_incarnation, p_to, 0, p_actor, 'stage', p_stage,
      json_build_object('op', 'stage', 'id', p_stage, 'mode', p_mode), v_sqlstate, nullif(v_constraint, ''));
  END IF;
  PERFORM note_in_log(
    p_space,
    CASE WHEN p_waits THEN
      jsonb_build_object(p_to, jsonb_build_array(CASE status
        WHEN 'applied' THEN jsonb_build_object('id', p_stage, 'status', 'applied', 'objects', objects)
        ELSE jsonb_build_object('id', p_stage, 'status', 'rejected') END))
    ELSE '{}' END,
    p_incidents);
END
$$;
--> statement-breakpoint
-- Removes worlds that no space names any more. These are replaced worlds, and staged worlds that were not touched for an hour (a week,
-- if an entry of the log names them). Outcome: the number of objects.
CREATE FUNCTION sweep_worlds(p_space text) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_world bigint;
  v_count bigint;
  v_removed bigint := 0;
BEGIN
  DELETE FROM world_stages
  WHERE tenant_id = v_tenant AND space_id = p_space AND touched_at < now() - interval '1 hour'
    AND (queued_at IS NULL OR queued_at < now() - interval '7 days');
  -- A number is drawn and named in one transaction, so one that nothing names here is never named again.
  FOR v_world IN
    SELECT w.world FROM worlds w
    WHERE w.tenant_id = v_tenant AND w.space_id = p_space
      AND NOT EXISTS (
        SELECT FROM spaces s WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.world = w.world)
      AND NOT EXISTS (
        SELECT FROM world_stages g WHERE g.tenant_id = v_tenant AND g.space_id = p_space AND g.world = w.world)
  LOOP
    DELETE FROM world_objects WHERE world = v_world;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_removed := v_removed + v_count;
    DELETE FROM object_removals WHERE world = v_world;
    DELETE FROM worlds WHERE tenant_id = v_tenant AND space_id = p_space AND world = v_world;
  END LOOP;
  RETURN v_removed;
END
$$;
