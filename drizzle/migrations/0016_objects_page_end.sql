-- The last id of a page of a space's objects in the order of their ids, after one id: at most p_rows of them and about
-- p_bytes as they travel (one object above it at most), for an answer of the database has a limit and the properties of
-- 16,000 objects may be 1 GiB. NULL where no object is left.
CREATE FUNCTION objects_page_end(p_space text, p_after text, p_rows integer, p_bytes bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
  WITH sized AS (
    SELECT o.object_id,
      -- 400 for the numbers and the marks between; text inside properties is escaped once more on its way.
      400 + octet_length(o.object_id) + 2 * coalesce(octet_length(o.name), 0) + coalesce(octet_length(o.model_id), 0)
        + coalesce(octet_length(o.parent_id), 0) + coalesce(octet_length(o.created_by), 0)
        + coalesce(octet_length(o.updated_by), 0) + 2 * octet_length(o.properties::text) AS bytes
    FROM spaces s
    JOIN world_objects o ON o.tenant_id = s.tenant_id AND o.space_id = s.space_id AND o.generation = s.generation
    WHERE s.tenant_id = current_tenant() AND s.space_id = p_space AND s.deleted_at IS NULL AND o.object_id > p_after
    ORDER BY o.object_id
    LIMIT p_rows
  )
  SELECT max(object_id)
  FROM (
    SELECT object_id, sum(bytes) OVER (ORDER BY object_id ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before FROM sized
  ) AS summed
  WHERE bytes_before < p_bytes
$$;
--> statement-breakpoint
-- The same for the other lists that a state or a page of spaces is made of.
CREATE FUNCTION models_page_end(p_after text, p_bytes bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
  SELECT max(model_id)
  FROM (
    SELECT model_id, sum(bytes) OVER (ORDER BY model_id ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before
    FROM (
      SELECT model_id, 400 + octet_length(model_id) + 2 * (octet_length(name) + octet_length(url) + coalesce(octet_length(content_type), 0)) AS bytes
      FROM uploaded_models WHERE tenant_id = current_tenant() AND model_id > p_after ORDER BY model_id LIMIT 16000
    ) AS sized
  ) AS summed
  WHERE bytes_before < p_bytes
$$;
--> statement-breakpoint
CREATE FUNCTION media_page_end(p_after text, p_bytes bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
  SELECT max(media_id)
  FROM (
    SELECT media_id, sum(bytes) OVER (ORDER BY media_id ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before
    FROM (
      SELECT media_id, 400 + octet_length(media_id) + 2 * (octet_length(name) + octet_length(url) + coalesce(octet_length(content_type), 0)) AS bytes
      FROM media_assets WHERE tenant_id = current_tenant() AND media_id > p_after ORDER BY media_id LIMIT 16000
    ) AS sized
  ) AS summed
  WHERE bytes_before < p_bytes
$$;
--> statement-breakpoint
CREATE FUNCTION avatars_page_end(p_space text, p_after text, p_bytes bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
  SELECT max(user_id)
  FROM (
    SELECT user_id, sum(bytes) OVER (ORDER BY user_id ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before
    FROM (
      -- A name and an address may have 4 bytes a character: people are counted at their most.
      SELECT user_id, 400 + octet_length(user_id) + 2 * (256 + 2048) + 2 * octet_length(properties::text) AS bytes
      FROM space_members
      WHERE tenant_id = current_tenant() AND space_id = p_space AND user_id > p_after AND position_x IS NOT NULL
      ORDER BY user_id LIMIT 16000
    ) AS sized
  ) AS summed
  WHERE bytes_before < p_bytes
$$;
--> statement-breakpoint
CREATE FUNCTION spaces_page_end(p_after text, p_rows integer, p_bytes bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
  SELECT max(space_id)
  FROM (
    SELECT space_id, sum(bytes) OVER (ORDER BY space_id ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before
    FROM (
      SELECT space_id, 800 + octet_length(space_id)
        + 2 * (octet_length(name) + coalesce(octet_length(description), 0) + octet_length(settings::text)) AS bytes
      FROM spaces
      WHERE tenant_id = current_tenant() AND space_id > p_after AND deleted_at IS NULL
      ORDER BY space_id LIMIT p_rows
    ) AS sized
  ) AS summed
  WHERE bytes_before < p_bytes
$$;
