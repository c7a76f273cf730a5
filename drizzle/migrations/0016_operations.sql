-- What the operations page reads. Both functions run with the rights of their caller, so that row security holds.
-- The incidents of one space, newest first.
CREATE INDEX incidents_of_space ON incidents (tenant_id, space_id, created_at);
--> statement-breakpoint
-- A page of people behind p_after, sorted by id. p_search: '' for all, else a prefix of the id, or a part of the display name in any
-- case. It looks at p_searched people, and returns p_rows people and p_bytes at most, but at least the first that it finds.
-- people: [{id, displayName, avatarUrl, properties, createdAt, lastSeenAt}]. next: the id behind which the next page begins; NULL where
-- there is nobody left.
CREATE FUNCTION list_people(
  p_after text, p_search text, p_rows integer, p_searched integer, p_bytes bigint, OUT people json, OUT next text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  v_person users%ROWTYPE;
  v_search text := lower(p_search);
  v_looked integer := 0;
  v_bytes bigint := 0;
  v_last text;
  v_found json[] := '{}';
BEGIN
  FOR v_person IN
    SELECT * FROM users u WHERE u.tenant_id = current_tenant() AND u.user_id > p_after ORDER BY u.user_id LIMIT p_searched + 1
  LOOP
    IF v_looked = p_searched OR cardinality(v_found) = p_rows OR v_bytes >= p_bytes THEN
      next := v_last;
      EXIT;
    END IF;
    v_looked := v_looked + 1;
    v_last := v_person.user_id;
    CONTINUE WHEN p_search <> '' AND NOT starts_with(v_person.user_id, p_search)
      AND position(v_search IN lower(v_person.display_name)) = 0;
    v_found := v_found || json_build_object(
      'id', v_person.user_id, 'displayName', v_person.display_name, 'avatarUrl', v_person.avatar_url,
      'properties', v_person.properties, 'createdAt', v_person.created_at, 'lastSeenAt', v_person.last_seen_at);
    -- Quotes are escaped on their way.
    v_bytes := v_bytes + 2 * octet_length(v_found[cardinality(v_found)]::text);
  END LOOP;
  people := array_to_json(v_found);
END
$$;
