-- Objects of a space in the order of their ids, after one id: at most p_rows of them and about p_bytes as they travel (one
-- object above it at most), for an answer of the database has a limit and the properties of 16,000 objects may be 1 GiB.
CREATE FUNCTION objects_page(p_space text, p_after text, p_rows integer, p_bytes bigint) RETURNS SETOF world_objects
LANGUAGE sql STABLE
AS $$
  WITH live AS (
    SELECT tenant_id, space_id, generation FROM spaces
    WHERE tenant_id = current_tenant() AND space_id = p_space AND deleted_at IS NULL
  ), sized AS (
    SELECT object_id,
      -- 400 for the numbers and the marks between; text inside properties is escaped once more on its way.
      400 + octet_length(object_id) + 2 * coalesce(octet_length(name), 0) + coalesce(octet_length(model_id), 0)
        + coalesce(octet_length(parent_id), 0) + coalesce(octet_length(created_by), 0)
        + coalesce(octet_length(updated_by), 0) + 2 * octet_length(properties::text) AS bytes
    FROM world_objects NATURAL JOIN live
    WHERE object_id > p_after
    ORDER BY object_id
    LIMIT p_rows
  ), summed AS (
    SELECT object_id, sum(bytes) OVER (ORDER BY object_id ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before FROM sized
  )
  SELECT o.*
  FROM world_objects o JOIN live USING (tenant_id, space_id, generation)
  WHERE o.object_id > p_after
    AND o.object_id <= (SELECT max(object_id) FROM summed WHERE bytes_before < p_bytes)
  ORDER BY o.object_id
$$;
