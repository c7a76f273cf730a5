-- Notes an object before it is written to the bucket: if nothing names it later, a job deletes it. p_upload: its name in the bucket, of an
-- upload in parts. Nothing is noted if the bytes would exceed the quota. Outcome: the bytes that the tenant uses, and whether it is noted.
CREATE FUNCTION begin_object(p_key text, p_bytes bigint, p_quota bigint, p_upload text, OUT used bigint, OUT is_noted boolean)
LANGUAGE plpgsql
AS $$
BEGIN
  used := coalesce((SELECT f.bytes FROM file_totals f WHERE f.tenant_id = current_tenant()), 0);
  is_noted := used + p_bytes <= p_quota;
  IF is_noted THEN
    INSERT INTO loose_objects (tenant_id, object_key, bucket_upload_id) VALUES (current_tenant(), p_key, p_upload);
  END IF;
END
$$;
--> statement-breakpoint
-- Adds a model or a media file with a stored file. p_kind: model or media.
CREATE FUNCTION add_asset(
  p_kind text, p_id text, p_name text, p_sha256 bytea, p_bytes bigint, p_type text, p_details jsonb
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  IF p_kind = 'model' THEN
    INSERT INTO uploaded_models (tenant_id, model_id, name, url, sha256, bytes, content_type, file_sha256, details)
    VALUES (current_tenant(), p_id, p_name, '/v1/models/' || p_id || '/file', p_sha256, p_bytes, p_type, p_sha256, p_details);
  ELSE
    INSERT INTO media_assets (tenant_id, media_id, name, url, sha256, bytes, content_type, file_sha256, details)
    VALUES (current_tenant(), p_id, p_name, '/v1/media/' || p_id || '/file', p_sha256, p_bytes, p_type, p_sha256, p_details);
  END IF;
END
$$;
--> statement-breakpoint
-- Adds a model or a media file whose bytes are the object p_key. The object becomes the stored file of its hash, unless the tenant has
-- these bytes already: then it stays loose, and the caller deletes it.
-- Outcomes: stored. known: the object is not needed. over_quota; used is the bytes of the tenant. gone: the object was loose for too
-- long, and a job deletes it.
CREATE FUNCTION register_object(
  p_key text, p_sha256 bytea, p_bytes bigint, p_quota bigint, p_kind text, p_id text, p_name text, p_type text, p_details jsonb,
  OUT status text, OUT used bigint)
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
BEGIN
  -- One registration of a tenant at a time: two uploads of the same bytes, or two that share the rest of a quota.
  INSERT INTO file_totals AS t (tenant_id, bytes) VALUES (v_tenant, 0)
  ON CONFLICT (tenant_id) DO UPDATE SET bytes = t.bytes
  RETURNING t.bytes INTO used;
  PERFORM FROM loose_objects WHERE tenant_id = v_tenant AND object_key = p_key AND NOT is_doomed FOR UPDATE;
  IF NOT FOUND THEN
    status := 'gone';
    RETURN;
  END IF;
  UPDATE stored_files SET uses = uses + 1 WHERE tenant_id = v_tenant AND sha256 = p_sha256;
  IF FOUND THEN
    status := 'known';
  ELSIF used + p_bytes > p_quota THEN
    status := 'over_quota';
    RETURN;
  ELSE
    INSERT INTO stored_files (tenant_id, sha256, object_key, bytes, uses) VALUES (v_tenant, p_sha256, p_key, p_bytes, 1);
    UPDATE file_totals SET bytes = bytes + p_bytes WHERE tenant_id = v_tenant;
    DELETE FROM loose_objects WHERE tenant_id = v_tenant AND object_key = p_key;
    status := 'stored';
  END IF;
  PERFORM add_asset(p_kind, p_id, p_name, p_sha256, p_bytes, p_type, p_details);
END
$$;
--> statement-breakpoint
-- Adds a model or a media file with bytes that the tenant has stored for another one of its kind. Outcome: whether it has.
CREATE FUNCTION register_known(p_sha256 bytea, p_kind text, p_id text, p_name text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_bytes bigint;
  v_type text;
  v_details jsonb;
BEGIN
  UPDATE stored_files SET uses = uses + 1 WHERE tenant_id = v_tenant AND sha256 = p_sha256 RETURNING bytes INTO v_bytes;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF p_kind = 'model' THEN
    SELECT m.content_type, m.details INTO v_type, v_details FROM uploaded_models m
    WHERE m.tenant_id = v_tenant AND m.file_sha256 = p_sha256 LIMIT 1;
  ELSE
    SELECT m.content_type, m.details INTO v_type, v_details FROM media_assets m
    WHERE m.tenant_id = v_tenant AND m.file_sha256 = p_sha256 LIMIT 1;
  END IF;
  IF NOT FOUND THEN
    -- The bytes are of the other kind, and were not inspected as this one.
    UPDATE stored_files SET uses = uses - 1 WHERE tenant_id = v_tenant AND sha256 = p_sha256;
    RETURN false;
  END IF;
  PERFORM add_asset(p_kind, p_id, p_name, p_sha256, v_bytes, v_type, v_details);
  RETURN true;
END
$$;
--> statement-breakpoint
-- Deletes a model or a media file. If nothing else uses its bytes, their object becomes loose. Outcome: whether it was there, and the
-- key of that object.
CREATE FUNCTION delete_asset(p_kind text, p_id text, OUT is_found boolean, OUT object_key text)
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_sha256 bytea;
  v_uses bigint;
BEGIN
  IF p_kind = 'model' THEN
    DELETE FROM uploaded_models m WHERE m.tenant_id = v_tenant AND m.model_id = p_id RETURNING m.file_sha256 INTO v_sha256;
  ELSE
    DELETE FROM media_assets m WHERE m.tenant_id = v_tenant AND m.media_id = p_id RETURNING m.file_sha256 INTO v_sha256;
  END IF;
  is_found := FOUND;
  IF v_sha256 IS NULL THEN
    RETURN;
  END IF;
  PERFORM FROM file_totals WHERE tenant_id = v_tenant FOR UPDATE;
  SELECT f.uses INTO v_uses FROM stored_files f WHERE f.tenant_id = v_tenant AND f.sha256 = v_sha256 FOR UPDATE;
  IF v_uses > 1 THEN
    UPDATE stored_files f SET uses = f.uses - 1 WHERE f.tenant_id = v_tenant AND f.sha256 = v_sha256;
    RETURN;
  END IF;
  WITH gone AS (
    DELETE FROM stored_files f WHERE f.tenant_id = v_tenant AND f.sha256 = v_sha256 RETURNING f.object_key, f.bytes
  ), counted AS (
    UPDATE file_totals t SET bytes = t.bytes - gone.bytes FROM gone WHERE t.tenant_id = v_tenant
  )
  INSERT INTO loose_objects AS l (tenant_id, object_key, is_doomed) SELECT v_tenant, gone.object_key, true FROM gone
  RETURNING l.object_key INTO object_key;
END
$$;
--> statement-breakpoint
-- Takes the loose objects of all tenants that were not touched for so many seconds, and unused bytes. No upload can finish with them any
-- more. The caller deletes them from the bucket, then calls forget_objects. If it does not, a later call takes them again.
CREATE FUNCTION doom_objects(p_seconds integer, p_limit integer)
RETURNS TABLE (tenant_id text, object_key text, bucket_upload_id text)
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  UPDATE loose_objects l SET is_doomed = true
  FROM (
    SELECT o.tenant_id, o.object_key FROM tenants t
    CROSS JOIN LATERAL (
      SELECT c.tenant_id, c.object_key FROM loose_objects c
      WHERE c.tenant_id = t.tenant_id AND (c.is_doomed OR c.touched_at < now() - make_interval(secs => p_seconds))
      ORDER BY c.touched_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ) AS o
    LIMIT p_limit
  ) AS old
  WHERE l.tenant_id = old.tenant_id AND l.object_key = old.object_key
  RETURNING l.tenant_id, l.object_key, l.bucket_upload_id
$$;
--> statement-breakpoint
-- The objects are not in the bucket any more. Their uploads in parts are over.
CREATE FUNCTION forget_objects(p_keys text[]) RETURNS void
LANGUAGE sql
AS $$
  DELETE FROM file_uploads u WHERE u.tenant_id = current_tenant() AND u.object_key = ANY (p_keys);
  DELETE FROM loose_objects l WHERE l.tenant_id = current_tenant() AND l.object_key = ANY (p_keys)
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION doom_objects(integer, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION doom_objects(integer, integer) TO worldkeep_app;
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION doom_objects(integer, integer) OWNER TO worldkeep_jobs;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
--> statement-breakpoint
-- Whether the state of a space shows a model or a media file: see SPEC S10.
CREATE FUNCTION references_asset(p_space text, p_kind text, p_id text) RETURNS boolean
LANGUAGE sql STABLE
AS $$
  SELECT EXISTS (
    SELECT FROM space_assets a
    WHERE a.tenant_id = current_tenant() AND a.space_id = p_space AND a.kind = p_kind AND a.asset_id = p_id
  ) OR EXISTS (
    SELECT FROM spaces s JOIN world_objects o ON o.world = s.world
    WHERE s.tenant_id = current_tenant() AND s.space_id = p_space AND s.deleted_at IS NULL
      AND CASE WHEN p_kind = 'model' THEN o.model_id = p_id
        ELSE o.properties @> jsonb_build_object('mediaId', p_id)
          OR o.properties @> jsonb_build_object('mediaIds', jsonb_build_array(p_id)) END
  ) OR EXISTS (
    SELECT FROM space_members m
    WHERE m.tenant_id = current_tenant() AND m.space_id = p_space AND m.position_x IS NOT NULL
      AND CASE WHEN p_kind = 'model' THEN m.properties @> jsonb_build_object('modelId', p_id)
        ELSE m.properties @> jsonb_build_object('mediaId', p_id)
          OR m.properties @> jsonb_build_object('mediaIds', jsonb_build_array(p_id)) END
  )
$$;
