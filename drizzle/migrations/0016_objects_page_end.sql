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
