-- Reads of the operations page. The functions run with the rights of their caller, so that row security holds. Each reads its rows in
-- the order of an index. Without statistics the planner may take another way, which reads all rows of the tenant and sorts them.
CREATE INDEX incidents_newest ON incidents (tenant_id, created_at, incident_id);
--> statement-breakpoint
CREATE INDEX incidents_of_space ON incidents (tenant_id, space_id, created_at, incident_id);
--> statement-breakpoint
-- A page of incidents, newest first: of one space, or of all where p_space is NULL. p_before: the last incident of the page before, ''
-- for none. Behind an incident that is gone there is none: it was the oldest of its page, and the oldest go first.
CREATE FUNCTION list_incidents(p_space text, p_before text, p_rows integer) RETURNS SETOF incidents
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_at timestamptz := 'infinity';
BEGIN
  IF p_before <> '' THEN
    SELECT i.created_at INTO v_at FROM incidents i WHERE i.tenant_id = v_tenant AND i.incident_id = p_before;
  END IF;
  IF p_space IS NULL THEN
    RETURN QUERY SELECT * FROM incidents i
    WHERE i.tenant_id = v_tenant AND (i.created_at, i.incident_id) < (v_at, p_before)
    ORDER BY i.created_at DESC, i.incident_id DESC LIMIT p_rows;
  ELSE
    RETURN QUERY SELECT * FROM incidents i
    WHERE i.tenant_id = v_tenant AND i.space_id = p_space AND (i.created_at, i.incident_id) < (v_at, p_before)
    ORDER BY i.created_at DESC, i.incident_id DESC LIMIT p_rows;
  END IF;
END
$$;
--> statement-breakpoint
-- A page of people behind p_after, sorted by id. A person is found if the id begins with p_search, or if the display name contains it in
-- any case. It looks at p_searched people. It returns at most p_rows people and p_bytes, but at least one that it finds.
-- people: [{id, displayName, avatarUrl, properties, createdAt, lastSeenAt}]. next: the id behind which the next page begins; NULL at the
-- end of the list.
CREATE FUNCTION list_people(
  p_after text, p_search text, p_rows integer, p_searched integer, p_bytes bigint, OUT people json, OUT next text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
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
--> statement-breakpoint
-- The requests of the tenant that wait for Redis: it counts to p_rows.
CREATE FUNCTION count_spilled(p_rows integer) RETURNS integer
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
BEGIN
  RETURN (SELECT count(*) FROM (SELECT FROM log_spill s WHERE s.tenant_id = current_tenant() LIMIT p_rows) AS spilled);
END
$$;
