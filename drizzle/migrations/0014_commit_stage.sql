-- Makes a staged world the space's, all or nothing at any size, as one step of its order.
-- p_mode replace: the staged objects are the world, and p_users, if not NULL, are its avatars. merge: the staged objects
-- are put, the others kept. People, models, media and messages given are put in either mode and never removed: they are
-- more than this world's present. People already known keep their names, messages already there stay as they are.
-- p_users: [{id, name, url, px, py, pz, rx, ry, rz, rw, props}]; p_models, p_media: [{id, name, url, sha256, bytes, type}];
-- p_chat: [{id, user, text, kind, at}].
-- Outcomes: committed, unknown_space, unknown_stage.
CREATE FUNCTION commit_stage(
  p_space text, p_stage text, p_actor text, p_mode text, p_users json, p_models json, p_media json, p_chat json,
  OUT status text, OUT seq bigint, OUT objects integer)
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_space spaces%ROWTYPE;
  v_stage world_stages%ROWTYPE;
  v_seq bigint;
BEGIN
  SELECT * INTO v_space FROM spaces
  WHERE tenant_id = v_tenant AND space_id = p_space AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    status := 'unknown_space';
    RETURN;
  END IF;
  DELETE FROM world_stages s WHERE s.tenant_id = v_tenant AND s.stage_id = p_stage AND s.space_id = p_space
  RETURNING * INTO v_stage;
  IF NOT FOUND THEN
    status := 'unknown_stage';
    RETURN;
  END IF;
  v_seq := next_seq(v_space.log_cursor);

  IF p_mode = 'replace' THEN
    UPDATE spaces SET generation = v_stage.generation, generation_seq = v_seq, log_cursor = v_seq
    WHERE tenant_id = v_tenant AND space_id = p_space;
  ELSE
    UPDATE spaces SET log_cursor = v_seq WHERE tenant_id = v_tenant AND space_id = p_space;
    INSERT INTO world_objects AS kept (
      tenant_id, space_id, generation, object_id, seq, created_seq, name, model_id, parent_id,
      position_x, position_y, position_z, rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z,
      properties, created_by, updated_by)
    SELECT
      o.tenant_id, o.space_id, v_space.generation, o.object_id, v_seq, coalesce(nullif(o.created_seq, 0), v_seq), o.name,
      o.model_id, o.parent_id, o.position_x, o.position_y, o.position_z, o.rotation_x, o.rotation_y, o.rotation_z,
      o.rotation_w, o.scale_x, o.scale_y, o.scale_z, o.properties, o.created_by, o.updated_by
    FROM world_objects o
    WHERE o.tenant_id = v_tenant AND o.space_id = p_space AND o.generation = v_stage.generation
    ON CONFLICT (tenant_id, space_id, generation, object_id) DO UPDATE SET
      seq = excluded.seq, created_seq = coalesce(nullif(kept.created_seq, 0), v_space.generation_seq),
      name = excluded.name, model_id = excluded.model_id, parent_id = excluded.parent_id,
      position_x = excluded.position_x, position_y = excluded.position_y, position_z = excluded.position_z,
      rotation_x = excluded.rotation_x, rotation_y = excluded.rotation_y, rotation_z = excluded.rotation_z,
      rotation_w = excluded.rotation_w,
      scale_x = excluded.scale_x, scale_y = excluded.scale_y, scale_z = excluded.scale_z,
      properties = excluded.properties, updated_by = excluded.updated_by;
  END IF;

  IF json_array_length(p_users) > 0 THEN
    INSERT INTO users (tenant_id, user_id, display_name, avatar_url)
    SELECT v_tenant, id, name, url FROM json_to_recordset(p_users) AS u (id text, name text, url text)
    ON CONFLICT (tenant_id, user_id) DO NOTHING;
  END IF;
  IF p_users IS NOT NULL AND p_mode = 'replace' THEN
    UPDATE space_members SET seq = v_seq, properties = '{}',
      position_x = NULL, position_y = NULL, position_z = NULL,
      rotation_x = NULL, rotation_y = NULL, rotation_z = NULL, rotation_w = NULL
    WHERE tenant_id = v_tenant AND space_id = p_space AND position_x IS NOT NULL;
  END IF;
  IF json_array_length(p_users) > 0 THEN
    INSERT INTO space_members (
      tenant_id, space_id, user_id, seq, position_x, position_y, position_z,
      rotation_x, rotation_y, rotation_z, rotation_w, properties)
    SELECT v_tenant, p_space, id, v_seq, px, py, pz, rx, ry, rz, rw, props
    FROM json_to_recordset(p_users) AS u (
      id text, px float8, py float8, pz float8, rx float8, ry float8, rz float8, rw float8, props jsonb)
    ON CONFLICT (tenant_id, space_id, user_id) DO UPDATE SET
      seq = excluded.seq, properties = excluded.properties,
      position_x = excluded.position_x, position_y = excluded.position_y, position_z = excluded.position_z,
      rotation_x = excluded.rotation_x, rotation_y = excluded.rotation_y, rotation_z = excluded.rotation_z,
      rotation_w = excluded.rotation_w;
  END IF;
  IF json_array_length(p_models) > 0 THEN
    INSERT INTO uploaded_models (tenant_id, model_id, name, url, sha256, bytes, content_type)
    SELECT v_tenant, id, name, url, decode(sha256, 'hex'), bytes, type
    FROM json_to_recordset(p_models) AS m (id text, name text, url text, sha256 text, bytes bigint, type text)
    ON CONFLICT (tenant_id, model_id) DO UPDATE SET
      name = excluded.name, url = excluded.url, sha256 = excluded.sha256, bytes = excluded.bytes,
      content_type = excluded.content_type;
  END IF;
  IF json_array_length(p_media) > 0 THEN
    INSERT INTO media_assets (tenant_id, media_id, name, url, sha256, bytes, content_type)
    SELECT v_tenant, id, name, url, decode(sha256, 'hex'), bytes, type
    FROM json_to_recordset(p_media) AS m (id text, name text, url text, sha256 text, bytes bigint, type text)
    ON CONFLICT (tenant_id, media_id) DO UPDATE SET
      name = excluded.name, url = excluded.url, sha256 = excluded.sha256, bytes = excluded.bytes,
      content_type = excluded.content_type;
  END IF;
  IF json_array_length(p_chat) > 0 THEN
    INSERT INTO chat_messages (tenant_id, space_id, message_id, user_id, text, kind, seq, created_at)
    SELECT v_tenant, p_space, id, "user", text, kind, v_seq, coalesce(at, now())
    FROM json_to_recordset(p_chat) AS c (id text, "user" text, text text, kind text, at timestamptz)
    ON CONFLICT (tenant_id, space_id, message_id) DO NOTHING;
  END IF;

  status := 'committed';
  seq := v_seq;
  objects := v_stage.objects;
END
$$;
