CREATE TABLE "log_spill" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"spill_id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "log_spill_spill_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"incarnation" text COLLATE "C" NOT NULL,
	"actor" text COLLATE "C",
	"request_id" text,
	"principal" text NOT NULL,
	"key" text NOT NULL,
	"fingerprint" text NOT NULL,
	"message_ids" text[] NOT NULL,
	"entries" json NOT NULL,
	"posted_ids" text[] NOT NULL,
	"bytes" bigint NOT NULL,
	"requests_to" bigint NOT NULL,
	"bytes_to" bigint NOT NULL,
	"key_until" timestamp with time zone,
	"appended_seq" bigint,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "log_spill_tenant_id_space_id_spill_id_pk" PRIMARY KEY("tenant_id","space_id","spill_id")
);
--> statement-breakpoint
CREATE UNIQUE INDEX "log_spill_keys" ON "log_spill" USING btree ("tenant_id","space_id","incarnation","principal","key");
--> statement-breakpoint
CALL protect_tenant_table('log_spill', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
-- The request that is there under a key, or under a caller's id of a message. Outcome: kept or key_reused; no row if it is not there.
CREATE FUNCTION find_spilled(p_space text, p_principal text, p_key text, p_fingerprint text, p_message_ids text[])
RETURNS TABLE (status text, posted_ids text[])
LANGUAGE sql STABLE
AS $$
  SELECT CASE WHEN l.fingerprint = p_fingerprint THEN 'kept' ELSE 'key_reused' END, l.posted_ids
  FROM log_spill l JOIN spaces s USING (tenant_id, space_id, incarnation)
  WHERE l.tenant_id = current_tenant() AND l.space_id = p_space AND l.principal = p_principal AND s.deleted_at IS NULL
    AND (l.key = p_key OR (cardinality(p_message_ids) > 0 AND l.message_ids && p_message_ids))
  ORDER BY l.key <> p_key LIMIT 1
$$;
--> statement-breakpoint
-- Stores a request while Redis is away. A key that is there gives the ids of the messages as they were first given. p_key_seconds is
-- NULL if no append was sent. p_incarnation: only in this incarnation of the space; NULL: in any.
-- Outcome: kept, key_reused or full; no row for a space that is not there.
CREATE FUNCTION keep_spilled(
  p_space text, p_actor text, p_request text, p_principal text, p_key text, p_fingerprint text, p_message_ids text[], p_entries json,
  p_posted_ids text[], p_bytes bigint, p_key_seconds integer, p_bytes_max bigint, p_requests_max integer, p_incarnation text
) RETURNS TABLE (status text, posted_ids text[])
LANGUAGE plpgsql
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_incarnation text;
  v_known record;
  v_first log_spill;
  v_last log_spill;
BEGIN
  SELECT s.incarnation INTO v_incarnation FROM spaces s
  WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.deleted_at IS NULL;
  IF NOT FOUND OR v_incarnation <> p_incarnation THEN
    RETURN;
  END IF;
  -- One after the other in a space: each finds the requests before it, and the room that they leave.
  PERFORM pg_advisory_xact_lock(hashtextextended('spill ' || v_tenant || ' ' || p_space, 0));
  SELECT * INTO v_known FROM find_spilled(p_space, p_principal, p_key, p_fingerprint, p_message_ids);
  IF FOUND THEN
    RETURN QUERY SELECT v_known.status, v_known.posted_ids;
    RETURN;
  END IF;
  SELECT * INTO v_first FROM log_spill l
  WHERE l.tenant_id = v_tenant AND l.space_id = p_space ORDER BY l.spill_id LIMIT 1;
  SELECT * INTO v_last FROM log_spill l
  WHERE l.tenant_id = v_tenant AND l.space_id = p_space ORDER BY l.spill_id DESC LIMIT 1;
  IF v_last.bytes_to - v_first.bytes_to + v_first.bytes + p_bytes > p_bytes_max
    OR v_last.requests_to - v_first.requests_to + 1 >= p_requests_max THEN
    RETURN QUERY SELECT 'full', ARRAY[]::text[];
    RETURN;
  END IF;
  INSERT INTO log_spill (
    tenant_id, space_id, incarnation, actor, request_id, principal, key, fingerprint, message_ids, entries, posted_ids, bytes,
    requests_to, bytes_to, key_until)
  VALUES (
    v_tenant, p_space, v_incarnation, p_actor, p_request, p_principal, p_key, p_fingerprint, p_message_ids, p_entries, p_posted_ids,
    p_bytes, coalesce(v_last.requests_to, 0) + 1, coalesce(v_last.bytes_to, 0) + p_bytes,
    now() + make_interval(secs => p_key_seconds));
  RETURN QUERY SELECT 'kept', p_posted_ids;
END
$$;
--> statement-breakpoint
-- Moves a request to the dead letters. p_letters: [{id, index, kind, target, op}]. @returns how many; 0 if another process has moved it.
CREATE FUNCTION bury_spilled(p_space text, p_spill_id bigint, p_letters json) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
  v_request log_spill;
  v_count integer;
BEGIN
  DELETE FROM log_spill l WHERE l.tenant_id = current_tenant() AND l.space_id = p_space AND l.spill_id = p_spill_id
  RETURNING * INTO v_request;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  -- The log never had it: there is nothing to correct.
  INSERT INTO dead_letters (
    tenant_id, dead_letter_id, space_id, incarnation, seq, index, actor, kind, target_id, op, constraint_name, corrected_at)
  SELECT v_request.tenant_id, l.id, p_space, v_request.incarnation, 0, l.index, v_request.actor, l.kind, l.target, l.op, 'log_spill', now()
  FROM json_to_recordset(p_letters) AS l (id text, index integer, kind text, target text, op json);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END
$$;
--> statement-breakpoint
-- Spaces of all tenants with spilled requests, the longest waiting first. p_instance is the Redis that would get them. If the log of a
-- space was in another one, a process that can reach that one has two minutes to return them.
CREATE FUNCTION list_spilled_spaces(p_instance text, p_limit integer) RETURNS TABLE (tenant_id text, space_id text)
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT l.tenant_id, l.space_id FROM log_spill l
  LEFT JOIN spaces s ON s.tenant_id = l.tenant_id AND s.space_id = l.space_id
  GROUP BY l.tenant_id, l.space_id, s.log_instance
  HAVING s.log_instance = p_instance OR min(l.created_at) < now() - interval '2 minutes'
  ORDER BY min(l.spill_id) LIMIT p_limit
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION list_spilled_spaces(text, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION list_spilled_spaces(text, integer) TO worldkeep_app;
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER FUNCTION list_spilled_spaces(text, integer) OWNER TO worldkeep_jobs;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
