-- Bytes of an object as it travels, about: 400 for the numbers and the marks between. Text inside properties is escaped
-- once more. Two authors may be 256 more, for which a page of 6 MiB leaves room below the 10 MiB of an answer.
CREATE FUNCTION object_bytes(o world_objects) RETURNS bigint
LANGUAGE sql IMMUTABLE
AS $$
  SELECT 400 + octet_length(o.object_id) + 2 * coalesce(octet_length(o.name), 0) + coalesce(octet_length(o.model_id), 0)
    + coalesce(octet_length(o.parent_id), 0) + 2 * octet_length(o.properties::text)
$$;
--> statement-breakpoint
-- A page of a space's objects in the order of their ids, after one id. p_since keeps objects with a higher seq (-1: all). p_box keeps
-- objects in it (from … to in x, y and z, in metres; NULL: anywhere). The page ends after p_rows or about p_bytes. On the last page, the
-- last row is all NULL. The number of the world is read first. Joined to spaces, without statistics, every page sorted the remaining
-- world (270 ms for 300,000 objects).
CREATE FUNCTION objects_page(p_space text, p_since bigint, p_box float8[], p_after text, p_rows integer, p_bytes bigint)
RETURNS SETOF world_objects
LANGUAGE plpgsql STABLE
-- Without statistics the planner would read all of the world that is left, and sort it.
SET enable_sort = off
SET enable_bitmapscan = off
SET enable_seqscan = off
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_world bigint;
  v_cursor bigint;
  v_bytes bigint := 0;
  v_rows integer := 0;
  v_object world_objects;
BEGIN
  SELECT s.world, s.log_cursor INTO v_world, v_cursor FROM spaces s
  WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.deleted_at IS NULL;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF p_since >= v_cursor THEN
    RETURN NEXT NULL::world_objects;
    RETURN;
  END IF;
  FOR v_object IN
    SELECT o.* FROM world_objects o
    WHERE o.world = v_world AND o.object_id > p_after AND o.seq > p_since
      AND (p_box IS NULL OR (o.position_x BETWEEN p_box[1] AND p_box[2] AND o.position_y BETWEEN p_box[3] AND p_box[4]
        AND o.position_z BETWEEN p_box[5] AND p_box[6]))
    ORDER BY o.object_id
    LIMIT p_rows + 1
  LOOP
    IF v_rows >= p_rows OR v_bytes >= p_bytes THEN
      RETURN;
    END IF;
    RETURN NEXT v_object;
    v_rows := v_rows + 1;
    v_bytes := v_bytes + object_bytes(v_object);
  END LOOP;
  RETURN NEXT NULL::world_objects;
END
$$;
--> statement-breakpoint
-- The same for the other lists that a state or a page of spaces is made of.
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
