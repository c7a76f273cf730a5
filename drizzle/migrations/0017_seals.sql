-- Seals make a change of audit rows visible. A job seals the rows of finished transactions, so that no write waits for it. The seals of a tenant
-- are a chain: each one's hash covers the one before. A seal holds rows of one day, because old rows go by whole days.
-- `hashes`: of audit_hash, one for each of `ids`. `previous`: the hash of the seal before; empty for the first.
-- `previous_day`: the day of the seal before. It shows whether the seals before the oldest one have gone with their days.
CREATE TABLE audit_seals (
  tenant_id text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  day date NOT NULL,
  previous_day date,
  sealed_at timestamp with time zone NOT NULL,
  ids bigint[] NOT NULL,
  hashes bytea[] NOT NULL,
  previous bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (tenant_id, number)
);
--> statement-breakpoint
CREATE INDEX audit_seals_by_day ON audit_seals (tenant_id, day);
--> statement-breakpoint
-- How far the job is: one row. It has sealed the rows up to (sealed_xid, sealed_id), and every row up to floor_id. newest_id: the largest id
-- that it has sealed.
-- Numbers of transactions belong to a cluster. Rows that were restored into another one have numbers that mean nothing there. `written_xid` shows
-- it: in the cluster that wrote this row, it equals the row's own xmin. Then a *move* seals what the old cluster left, in the order of ids, from
-- move_from to move_to. After it, floor_id is move_to, and the job begins at transaction 0.
CREATE TABLE audit_state (
  -- A restore into a database that has this row already fails: two rows would contradict each other.
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  sealed_xid bigint NOT NULL DEFAULT 0,
  sealed_id bigint NOT NULL DEFAULT 0,
  newest_id bigint NOT NULL DEFAULT 0,
  floor_id bigint NOT NULL DEFAULT 0,
  move_from bigint,
  move_to bigint,
  written_xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint
);
--> statement-breakpoint
INSERT INTO audit_state DEFAULT VALUES;
--> statement-breakpoint
CALL protect_tenant_table('audit_seals', 'SELECT');
--> statement-breakpoint
CALL protect_shared_table('audit_state');
--> statement-breakpoint
GRANT SELECT ON SEQUENCE audit_ids TO worldkeep_jobs;
--> statement-breakpoint
-- The hash of a seal. The hash of the next one covers it.
CREATE FUNCTION audit_seal_hash(s audit_seals) RETURNS bytea
LANGUAGE sql STABLE
AS $$
  SELECT sha256(
    convert_to(jsonb_build_array(
      s.tenant_id, s.number, s.day, s.previous_day, (extract(epoch FROM s.sealed_at) * 1000000)::bigint, s.ids)::text, 'UTF8')
    || s.previous
    || (SELECT string_agg(h.hash, ''::bytea ORDER BY h.place) FROM unnest(s.hashes) WITH ORDINALITY AS h (hash, place)))
$$;
--> statement-breakpoint
-- Adds a seal to the chain of a tenant.
CREATE FUNCTION add_audit_seal(p_tenant text, p_day date, p_ids bigint[], p_hashes bytea[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  s audit_seals;
  v_last audit_seals;
BEGIN
  SELECT a.* INTO v_last FROM audit_seals a WHERE a.tenant_id = p_tenant ORDER BY a.number DESC LIMIT 1;
  s.tenant_id := p_tenant;
  s.number := coalesce(v_last.number, 0) + 1;
  s.day := p_day;
  s.previous_day := v_last.day;
  s.sealed_at := now();
  s.ids := p_ids;
  s.hashes := p_hashes;
  s.previous := coalesce(v_last.hash, '');
  s.hash := audit_seal_hash(s);
  INSERT INTO audit_seals SELECT s.*;
END
$$;
--> statement-breakpoint
-- Seals at most p_limit rows of all tenants. One call at a time: another one answers `busy`. Outcomes: sealed (rows, seals: how many; the
-- caller repeats it while rows = p_limit), moved (see audit_state; the caller repeats it), busy.
-- A row is final if its transaction is below every transaction under way: no row of such a transaction can appear later.
-- waiting_seconds: the age of the oldest row that waits for an older transaction to end; NULL where none waits.
-- No savepoint or exception block may surround the updates of audit_state: they would get the xmin of a subtransaction.
CREATE FUNCTION seal_audit(
  p_limit integer, OUT status text, OUT rows integer, OUT seals integer, OUT waiting_seconds double precision)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET lock_timeout = '100ms'
-- Without statistics, the planner would read and sort the whole table for each call.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  -- Not 0: a move would begin again.
  v_limit integer := least(greatest(p_limit, 1), 100000);
  s record;
  v_group record;
  v_final bigint;
  v_xid bigint := 0;
  v_id bigint := 0;
  v_newest bigint := 0;
BEGIN
  rows := 0;
  seals := 0;
  SELECT a.*, a.xmin::text::bigint AS row_xid INTO s FROM audit_state a FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    IF NOT EXISTS (SELECT FROM audit_state) THEN
      RAISE EXCEPTION 'audit_state has no row, so nobody knows which audit rows are sealed';
    END IF;
    status := 'busy';
    RETURN;
  END IF;
  IF s.row_xid <> s.written_xid % 4294967296 THEN
    -- Every transaction that has drawn an id so far ends before this lock is there.
    BEGIN
      LOCK TABLE audit_entries IN SHARE MODE;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      status := 'busy';
      RETURN;
    END;
    UPDATE audit_state SET
      move_from = coalesce(move_from, floor_id), move_to = (SELECT i.last_value FROM audit_ids i),
      written_xid = pg_current_xact_id()::text::bigint;
    status := 'moved';
    RETURN;
  END IF;
  -- Before the rows are read: a transaction that ends between the two is sealed by the next call.
  v_final := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
  FOR v_group IN
    WITH batch AS MATERIALIZED (
      (
        SELECT e.tenant_id, (e.at AT TIME ZONE 'UTC')::date AS day, e.xid, e.audit_id, audit_hash(e) AS hash
        FROM audit_entries e
        WHERE s.move_to IS NULL AND (e.xid, e.audit_id) > (s.sealed_xid, s.sealed_id) AND e.xid < v_final AND e.audit_id > s.floor_id
        ORDER BY e.xid, e.audit_id LIMIT v_limit
      )
      UNION ALL
      -- Of a move: without an end, this reads nothing.
      (
        SELECT e.tenant_id, (e.at AT TIME ZONE 'UTC')::date, e.xid, e.audit_id, audit_hash(e)
        FROM audit_entries e
        WHERE e.audit_id > s.move_from AND e.audit_id <= s.move_to
          AND ((e.xid, e.audit_id) > (s.sealed_xid, s.sealed_id) OR e.audit_id > s.newest_id)
        ORDER BY e.audit_id LIMIT v_limit
      )
    )
    SELECT b.tenant_id, b.day, array_agg(b.audit_id ORDER BY b.xid, b.audit_id) AS ids,
      array_agg(b.hash ORDER BY b.xid, b.audit_id) AS hashes, max(b.xid) AS xid, max(b.audit_id) AS newest
    FROM batch b GROUP BY b.tenant_id, b.day ORDER BY b.tenant_id, b.day
  LOOP
    PERFORM add_audit_seal(v_group.tenant_id, v_group.day, v_group.ids, v_group.hashes);
    rows := rows + cardinality(v_group.ids);
    seals := seals + 1;
    v_newest := greatest(v_newest, v_group.newest);
    -- The rows of a group are in the order of the job, so its last id belongs to its last transaction.
    IF (v_group.xid, v_group.ids[cardinality(v_group.ids)]) > (v_xid, v_id) THEN
      v_xid := v_group.xid;
      v_id := v_group.ids[cardinality(v_group.ids)];
    END IF;
  END LOOP;
  status := 'sealed';
  IF s.move_to IS NOT NULL AND rows < v_limit THEN
    UPDATE audit_state SET
      sealed_xid = 0, sealed_id = 0, newest_id = move_to, floor_id = move_to, move_from = NULL, move_to = NULL,
      written_xid = pg_current_xact_id()::text::bigint;
    status := 'moved';
  ELSIF s.move_to IS NOT NULL THEN
    UPDATE audit_state SET move_from = v_newest, written_xid = pg_current_xact_id()::text::bigint;
  ELSIF rows > 0 THEN
    UPDATE audit_state SET
      sealed_xid = v_xid, sealed_id = v_id, newest_id = greatest(newest_id, v_newest),
      written_xid = pg_current_xact_id()::text::bigint;
  END IF;
  IF s.move_to IS NULL AND rows < v_limit THEN
    waiting_seconds := (
      SELECT extract(epoch FROM clock_timestamp() - e.at) FROM audit_entries e WHERE e.xid >= v_final AND e.audit_id > s.floor_id
      ORDER BY e.xid LIMIT 1);
  END IF;
END
$$;
--> statement-breakpoint
-- How far the job is, for `worldkeep audit verify`. A row without a seal waits for one if its id is above floor_id, and if it is behind
-- (sealed_xid, sealed_id). During a move, it also waits if its id is above newest_id.
CREATE FUNCTION read_audit_state(
  OUT sealed_xid bigint, OUT sealed_id bigint, OUT newest_id bigint, OUT floor_id bigint, OUT is_moving boolean)
LANGUAGE sql STABLE PARALLEL SAFE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT a.sealed_xid, a.sealed_id, a.newest_id, coalesce(a.move_from, a.floor_id),
    a.move_to IS NOT NULL OR a.xmin::text::bigint <> a.written_xid % 4294967296
  FROM audit_state a
$$;
--> statement-breakpoint
-- The first tenant behind p_after that has audit rows or seals; NULL where there is none left.
CREATE FUNCTION next_audit_tenant(p_after text) RETURNS text
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT least(
    (SELECT e.tenant_id FROM audit_entries e WHERE e.tenant_id > p_after ORDER BY e.tenant_id LIMIT 1),
    (SELECT s.tenant_id FROM audit_seals s WHERE s.tenant_id > p_after ORDER BY s.tenant_id LIMIT 1))
$$;
--> statement-breakpoint
-- The oldest day whose audit rows have not gone.
CREATE FUNCTION oldest_audit_day() RETURNS date
LANGUAGE sql STABLE
AS $$
  SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'audit_entries'::regclass
$$;
--> statement-breakpoint
-- Removes at most p_limit seals whose days have gone, from the beginning of each chain. The newest seal of a tenant stays, so that its chain goes
-- on. p_from and next: a tenant, as in clean_records.
CREATE FUNCTION clean_audit_seals(p_from text, p_limit integer, OUT removed integer, OUT next text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_day date := oldest_audit_day();
  v_count integer;
BEGIN
  removed := 0;
  SELECT s.tenant_id INTO next FROM audit_seals s WHERE s.tenant_id >= p_from ORDER BY s.tenant_id LIMIT 1;
  FOR v_visit IN 1 .. 1000 LOOP
    EXIT WHEN next IS NULL;
    DELETE FROM audit_seals d
    WHERE d.tenant_id = next AND d.number = ANY (ARRAY(
      SELECT s.number FROM audit_seals s
      WHERE s.tenant_id = next AND s.number < coalesce(
        (SELECT k.number FROM audit_seals k WHERE k.tenant_id = next AND k.day >= v_day ORDER BY k.number LIMIT 1),
        (SELECT k.number FROM audit_seals k WHERE k.tenant_id = next ORDER BY k.number DESC LIMIT 1))
      ORDER BY s.number LIMIT p_limit - removed));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    removed := removed + v_count;
    EXIT WHEN removed >= p_limit;
    SELECT s.tenant_id INTO next FROM audit_seals s WHERE s.tenant_id > next ORDER BY s.tenant_id LIMIT 1;
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO worldkeep_jobs;
--> statement-breakpoint
ALTER TABLE audit_seals OWNER TO worldkeep_jobs;
--> statement-breakpoint
ALTER TABLE audit_state OWNER TO worldkeep_jobs;
--> statement-breakpoint
SET LOCAL ROLE worldkeep_jobs;
--> statement-breakpoint
-- For the job, which reads the rows of all tenants in the order of their transactions.
CREATE INDEX audit_unsealed ON audit_entries (xid);
--> statement-breakpoint
RESET ROLE;
--> statement-breakpoint
DO $$
DECLARE
  v_function regprocedure;
BEGIN
  FOREACH v_function IN ARRAY ARRAY[
    'add_audit_seal(text, date, bigint[], bytea[])', 'seal_audit(integer)', 'read_audit_state()', 'next_audit_tenant(text)',
    'clean_audit_seals(text, integer)']::regprocedure[]
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
    -- Only seal_audit calls add_audit_seal, which trusts its caller.
    IF v_function <> 'add_audit_seal(text, date, bigint[], bytea[])'::regprocedure THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO worldkeep_app', v_function);
    END IF;
    EXECUTE format('ALTER FUNCTION %s OWNER TO worldkeep_jobs', v_function);
  END LOOP;
END
$$;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM worldkeep_jobs;
