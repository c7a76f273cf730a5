-- Operations that are applied one by one. ops: the text of each. requests: the id of the request of each.
CREATE TYPE single_rows AS (
  seqs bigint[], indexes integer[], kinds text[], ids text[], authors integer[], letters text[], ops text[], requests text[]
);
--> statement-breakpoint
-- The author (a place in names) and the request of each entry of a batch, for the audit. A row of the batch has the seq of its last entry.
-- object_ids, object_seqs: the objects of which another entry is audited, or whose row goes. user_ids: the same for avatars.
CREATE TYPE batch_origins AS (
  seqs bigint[], authors integer[], requests text[], names text[], object_ids text[], object_seqs bigint[], user_ids text[], user_seqs bigint[]
);
--> statement-breakpoint
-- Operations whose result says `applied` because their object, person or message was presumed to be there. kinds: object, avatar or
-- message.
CREATE TYPE presumed_rows AS (seqs bigint[], indexes integer[], ids text[], kinds text[]);
--> statement-breakpoint
CREATE FUNCTION slice_rows(r object_rows, p_first integer, p_last integer) RETURNS object_rows
LANGUAGE sql IMMUTABLE
AS $$
  SELECT ROW(
    r.ids[p_first:p_last], r.seqs[p_first:p_last], r.authors[p_first:p_last],
    r.px[p_first:p_last], r.py[p_first:p_last], r.pz[p_first:p_last],
    r.rx[p_first:p_last], r.ry[p_first:p_last], r.rz[p_first:p_last], r.rw[p_first:p_last],
    r.sx[p_first:p_last], r.sy[p_first:p_last], r.sz[p_first:p_last],
    r.marks[p_first:p_last], r.names[p_first:p_last], r.models[p_first:p_last], r.parents[p_first:p_last],
    r.props[p_first:p_last], r.created_seqs[p_first:p_last], r.creators[p_first:p_last]
  )::object_rows
$$;
--> statement-breakpoint
CREATE FUNCTION slice_rows(r avatar_rows, p_first integer, p_last integer) RETURNS avatar_rows
LANGUAGE sql IMMUTABLE
AS $$
  SELECT ROW(
    r.ids[p_first:p_last], r.seqs[p_first:p_last], r.px[p_first:p_last], r.py[p_first:p_last], r.pz[p_first:p_last],
    r.rx[p_first:p_last], r.ry[p_first:p_last], r.rz[p_first:p_last], r.rw[p_first:p_last],
    r.marks[p_first:p_last], r.props[p_first:p_last]
  )::avatar_rows
$$;
--> statement-breakpoint
CREATE FUNCTION slice_rows(r message_rows, p_first integer, p_last integer) RETURNS message_rows
LANGUAGE sql IMMUTABLE
AS $$
  SELECT ROW(
    r.ids[p_first:p_last], r.seqs[p_first:p_last], r.users[p_first:p_last], r.texts[p_first:p_last], r.kinds[p_first:p_last],
    r.deleted_seqs[p_first:p_last])::message_rows
$$;
--> statement-breakpoint
-- Which rows cannot be kept, as {moves, patches, puts, avatars, messages: [place, …]}, each counted from 1; NULL where all can. Tries by
-- halves, and undoes what it tries: 1 such row of 5,000 takes two batches' time, not 5,000 subtransactions.
CREATE FUNCTION find_poison(
  p_space text, p_world bigint, p_world_seq bigint, p_authors bigint[],
  p_moves object_rows, p_patches object_rows, p_puts object_rows, p_avatars avatar_rows, p_messages message_rows
) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
  v_kinds text[] := ARRAY['moves', 'patches', 'puts', 'avatars', 'messages'];
  v_sizes integer[] := ARRAY[
    cardinality(p_moves.ids), cardinality(p_patches.ids), cardinality(p_puts.ids), cardinality(p_avatars.ids),
    cardinality(p_messages.ids)];
  v_firsts integer[];
  v_lasts integer[];
  v_first integer;
  v_last integer;
  v_half integer;
  v_top integer;
  v_bad integer[];
  v_poison jsonb;
BEGIN
  FOR v_kind IN 1 .. 5 LOOP
    CONTINUE WHEN v_sizes[v_kind] = 0 OR v_sizes[v_kind] IS NULL;
    v_firsts := ARRAY[1];
    v_lasts := ARRAY[v_sizes[v_kind]];
    v_top := 1;
    v_bad := '{}';
    WHILE v_top > 0 LOOP
      v_first := v_firsts[v_top];
      v_last := v_lasts[v_top];
      v_top := v_top - 1;
      BEGIN
        CASE v_kind
          WHEN 1 THEN
            PERFORM move_objects(p_world, p_world_seq, p_authors, slice_rows(p_moves, v_first, v_last));
          WHEN 2 THEN
            PERFORM patch_objects(p_world, p_world_seq, p_authors, slice_rows(p_patches, v_first, v_last));
          WHEN 3 THEN
            PERFORM put_objects(p_world, p_world_seq, p_authors, slice_rows(p_puts, v_first, v_last));
          WHEN 4 THEN
            PERFORM move_avatars(p_space, slice_rows(p_avatars, v_first, v_last));
          ELSE
            PERFORM write_messages(p_space, slice_rows(p_messages, v_first, v_last));
        END CASE;
        RAISE EXCEPTION USING ERRCODE = 'WK000', MESSAGE = 'undone';
      EXCEPTION
        WHEN SQLSTATE 'WK000' THEN
          NULL;
        WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
          IF v_first = v_last THEN
            v_bad := v_bad || v_first;
          ELSE
            v_half := (v_first + v_last) / 2;
            v_firsts[v_top + 1] := v_half + 1;
            v_lasts[v_top + 1] := v_last;
            v_firsts[v_top + 2] := v_first;
            v_lasts[v_top + 2] := v_half;
            v_top := v_top + 2;
          END IF;
      END;
    END LOOP;
    IF v_bad <> '{}' THEN
      v_poison := coalesce(v_poison, '{}') || jsonb_build_object(v_kinds[v_kind], v_bad);
    END IF;
  END LOOP;
  RETURN v_poison;
END
$$;
--> statement-breakpoint
-- Applies one operation to what is there. p_was: the object's seq before the entry, 0 where it was not there.
-- Outcomes: applied, unknown_object, conflict.
CREATE FUNCTION apply_single(
  p_space text, p_world bigint, p_world_seq bigint, p_was bigint, p_now bigint,
  p_seq bigint, p_id text, p_author bigint, p_op jsonb
) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  v_if_seq jsonb := p_op -> 'ifSeq';
  v_position jsonb := p_op -> 'position';
  v_rotation jsonb := p_op -> 'rotation';
  v_scale jsonb := p_op -> 'scale';
  v_row object_rows;
BEGIN
  IF p_op ->> 'op' = 'user.patch' THEN
    PERFORM FROM users WHERE tenant_id = current_tenant() AND user_id = p_id;
    IF NOT FOUND THEN
      RETURN 'unknown_object';
    END IF;
    PERFORM move_avatars(p_space, ROW(
      ARRAY[p_id], ARRAY[p_seq],
      ARRAY[(v_position ->> 'x')::float8], ARRAY[(v_position ->> 'y')::float8], ARRAY[(v_position ->> 'z')::float8],
      ARRAY[(v_rotation ->> 'x')::float8], ARRAY[(v_rotation ->> 'y')::float8], ARRAY[(v_rotation ->> 'z')::float8],
      ARRAY[(v_rotation ->> 'w')::float8],
      ARRAY[CASE WHEN p_op ? 'properties' THEN 8 ELSE 0 END],
      ARRAY[jsonb_build_array(p_op -> 'properties')::text])::avatar_rows);
    RETURN 'applied';
  END IF;

  IF p_op ->> 'op' IN ('chat.post', 'chat.delete') THEN
    RETURN CASE WHEN write_messages(p_space, ROW(
      ARRAY[p_id], ARRAY[CASE WHEN p_op ->> 'op' = 'chat.post' THEN p_seq END], ARRAY[p_op ->> 'userId'],
      ARRAY[(p_op -> 'text')::text], ARRAY[(p_op -> 'kind')::text],
      ARRAY[CASE WHEN p_op ->> 'op' = 'chat.delete' THEN p_seq END])::message_rows) = '{}'
    THEN 'applied' ELSE 'unknown_object' END;
  END IF;

  IF p_op ->> 'op' <> 'put' AND p_now = 0 THEN
    RETURN 'unknown_object';
  END IF;
  IF (p_op ->> 'ifExists')::boolean <> (p_was <> 0)
    OR (jsonb_typeof(v_if_seq) = 'array' AND NOT v_if_seq @> to_jsonb(p_was))
    OR (jsonb_typeof(v_if_seq) = 'number' AND v_if_seq <> to_jsonb(p_was)) THEN
    RETURN 'conflict';
  END IF;

  v_row.ids := ARRAY[p_id];
  v_row.seqs := ARRAY[p_seq];
  IF p_op ->> 'op' = 'delete' THEN
    PERFORM remove_objects(p_world, v_row);
    RETURN 'applied';
  END IF;
  v_row.authors := ARRAY[1];
  v_row.px := ARRAY[(v_position ->> 'x')::float8];
  v_row.py := ARRAY[(v_position ->> 'y')::float8];
  v_row.pz := ARRAY[(v_position ->> 'z')::float8];
  v_row.rx := ARRAY[(v_rotation ->> 'x')::float8];
  v_row.ry := ARRAY[(v_rotation ->> 'y')::float8];
  v_row.rz := ARRAY[(v_rotation ->> 'z')::float8];
  v_row.rw := ARRAY[(v_rotation ->> 'w')::float8];
  v_row.sx := ARRAY[(v_scale ->> 'x')::float8];
  v_row.sy := ARRAY[(v_scale ->> 'y')::float8];
  v_row.sz := ARRAY[(v_scale ->> 'z')::float8];
  v_row.names := ARRAY[coalesce(p_op -> 'name', 'null')::text];
  v_row.models := ARRAY[p_op ->> 'modelId'];
  v_row.parents := ARRAY[p_op ->> 'parentId'];
  IF p_op ->> 'op' = 'patch' THEN
    v_row.marks := ARRAY[
      CASE WHEN p_op ? 'name' THEN 1 ELSE 0 END + CASE WHEN p_op ? 'modelId' THEN 2 ELSE 0 END
        + CASE WHEN p_op ? 'parentId' THEN 4 ELSE 0 END + CASE WHEN p_op ? 'properties' THEN 8 ELSE 0 END];
    v_row.props := ARRAY[jsonb_build_array(p_op -> 'properties')::text];
    PERFORM patch_objects(p_world, p_world_seq, ARRAY[p_author], v_row);
    RETURN 'applied';
  END IF;
  -- Members that a put leaves out have their defaults.
  v_row.px := ARRAY[coalesce(v_row.px[1], 0)];
  v_row.py := ARRAY[coalesce(v_row.py[1], 0)];
  v_row.pz := ARRAY[coalesce(v_row.pz[1], 0)];
  v_row.rx := ARRAY[coalesce(v_row.rx[1], 0)];
  v_row.ry := ARRAY[coalesce(v_row.ry[1], 0)];
  v_row.rz := ARRAY[coalesce(v_row.rz[1], 0)];
  v_row.rw := ARRAY[coalesce(v_row.rw[1], 1)];
  v_row.sx := ARRAY[coalesce(v_row.sx[1], 1)];
  v_row.sy := ARRAY[coalesce(v_row.sy[1], 1)];
  v_row.sz := ARRAY[coalesce(v_row.sz[1], 1)];
  v_row.marks := ARRAY[0];
  v_row.props := ARRAY[coalesce(p_op -> 'properties', '{}')::text];
  v_row.created_seqs := ARRAY[p_seq];
  v_row.creators := ARRAY[1];
  PERFORM put_objects(p_world, p_world_seq, ARRAY[p_author], v_row);
  RETURN 'applied';
END
$$;
--> statement-breakpoint
-- The results of a batch. Operations on a missing object, person or message say unknown_object.
CREATE FUNCTION mark_absent(
  p_results jsonb, p_presumed presumed_rows, p_objects text[], p_users text[], p_messages text[]
) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  v_absent jsonb;
BEGIN
  IF cardinality(p_presumed.seqs) IS NULL OR cardinality(p_objects || p_users || p_messages) = 0 THEN
    RETURN p_results;
  END IF;
  SELECT jsonb_object_agg(p.seq || ' ' || p.index, true) INTO v_absent
  FROM unnest(p_presumed.seqs, p_presumed.indexes, p_presumed.ids, p_presumed.kinds) AS p (seq, index, id, kind)
  WHERE p.id = ANY (CASE p.kind WHEN 'object' THEN p_objects WHEN 'avatar' THEN p_users ELSE p_messages END);
  IF v_absent IS NULL THEN
    RETURN p_results;
  END IF;
  RETURN (
    SELECT jsonb_object_agg(e.key, (
      SELECT jsonb_agg(
        CASE WHEN v_absent ? (e.key || ' ' || (r.ordinality - 1)) THEN r.value || '{"status": "unknown_object"}'
        ELSE r.value END ORDER BY r.ordinality)
      FROM jsonb_array_elements(e.value) WITH ORDINALITY AS r))
    FROM jsonb_each(p_results) AS e);
END
$$;
--> statement-breakpoint
-- Stores the outcomes of entries, for waiting callers, and the problems found in the log.
CREATE FUNCTION note_in_log(p_space text, p_results jsonb, p_incidents jsonb) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  IF p_results <> '{}' THEN
    INSERT INTO write_results (tenant_id, space_id, seq, results)
    SELECT current_tenant(), p_space, r.key::bigint, r.value FROM jsonb_each(p_results) AS r
    ON CONFLICT (tenant_id, space_id, seq) DO UPDATE SET results = excluded.results;
  END IF;
  IF p_incidents <> '[]' THEN
    INSERT INTO incidents (tenant_id, incident_id, space_id, kind, detail)
    SELECT current_tenant(), i.id, p_space, i.kind, i.detail
    FROM jsonb_to_recordset(p_incidents) AS i (id text, kind text, detail jsonb);
  END IF;
END
$$;
--> statement-breakpoint
-- Applies a part of a space's log, in one transaction that moves the cursor from p_from to p_to. It does nothing if the cursor is not at
-- p_from: a repeated or late batch changes nothing. Each row is of another object, so their order does not matter. Rows that cannot be
-- stored are named, and nothing is applied. The caller sends the batch again with these operations in p_singles. Singles are applied one
-- by one, in order, and a single that fails goes to dead_letters.
-- p_results: {seq: [{id, status}]}; the outcomes of the singles replace these. p_incidents: [{id, kind, detail}].
-- p_written_seqs, p_written_ids: the entries whose callers need an object as the entry left it, and the object of each.
-- p_doubtful: the objects of p_puts that earlier operations of the batch assumed to exist.
-- p_is_direct: the batch comes from no log, and must not come between the entries of one.
-- p_origins, p_audits_moves: for the audit. Moves are audited too, or not.
-- p_changes, p_posted: operations that changed objects and avatars, and posted messages, for the day of the space.
-- Outcomes:
-- - applied. unknown: moves and patches of missing objects. dead: [{id, seq, index, kind, target}]. absent_objects, absent_users,
--   absent_messages: missing targets of moves, patches, deletions, p_doubtful and avatars. no_effects: [{seq, index, status}] of singles without effect.
-- - moved (at_cursor, at_incarnation: where the space is).
-- - unknown_space.
-- - poisoned (poison: as find_poison has it).
-- - log_open: the space is written through its log, and the batch is not from there.
CREATE FUNCTION apply_batch(
  p_space text, p_incarnation text, p_from bigint, p_to bigint,
  p_moves object_rows, p_patches object_rows, p_puts object_rows, p_deletes object_rows, p_avatars avatar_rows,
  p_messages message_rows, p_singles single_rows, p_authors text[], p_results jsonb, p_presumed presumed_rows, p_written_seqs bigint[], p_written_ids text[], p_doubtful text[],
  p_incidents jsonb, p_is_direct boolean, p_changes integer, p_posted integer,
  p_origins batch_origins, p_audits_moves boolean,
  OUT status text, OUT at_cursor bigint, OUT at_incarnation text, OUT unknown integer, OUT dead jsonb, OUT poison jsonb,
  OUT absent_objects text[], OUT absent_users text[], OUT absent_messages text[], OUT no_effects jsonb)
LANGUAGE plpgsql
-- Each row is found by its key, whatever the planner believes of the table: without statistics it has read all of it.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
SET enable_memoize = off
SET random_page_cost = 4
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
DECLARE
  v_tenant text := current_tenant();
  v_space spaces%ROWTYPE;
  v_results jsonb;
  v_entry bigint := 0;
  v_before jsonb := '{}';
  v_seq bigint;
  v_id text;
  v_now bigint;
  v_status text;
  v_sqlstate text;
  v_constraint text;
  v_removed text[];
  v_authors bigint[] := number_authors(p_authors);
BEGIN
  SELECT * INTO v_space FROM spaces s
  WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    status := 'unknown_space';
    RETURN;
  END IF;
  -- Spilled requests have a place in a log, also if that was never opened.
  IF p_is_direct AND (v_space.log_instance IS NOT NULL
    OR EXISTS (SELECT FROM log_spill l WHERE l.tenant_id = v_tenant AND l.space_id = p_space)) THEN
    status := 'log_open';
    RETURN;
  END IF;
  IF v_space.log_cursor <> p_from OR v_space.incarnation <> p_incarnation THEN
    status := 'moved';
    at_cursor := v_space.log_cursor;
    at_incarnation := v_space.incarnation;
    RETURN;
  END IF;

  PERFORM set_config('app.audit_moves', CASE WHEN p_audits_moves THEN 'on' ELSE 'off' END, true),
    set_config('app.origins', p_origins::text, true);
  unknown := 0;
  absent_objects := '{}';
  absent_users := '{}';
  absent_messages := '{}';
  BEGIN
    UPDATE spaces s SET log_cursor = p_to WHERE s.tenant_id = v_tenant AND s.space_id = p_space;
    IF cardinality(p_moves.ids) > 0 THEN
      unknown := unknown + cardinality(p_moves.ids)
        - move_objects(v_space.world, v_space.generation_seq, v_authors, p_moves);
    END IF;
    IF cardinality(p_patches.ids) > 0 THEN
      unknown := unknown + cardinality(p_patches.ids)
        - patch_objects(v_space.world, v_space.generation_seq, v_authors, p_patches);
    END IF;
    IF unknown > 0 THEN
      absent_objects := find_absent(v_space.world, p_moves.ids || p_patches.ids);
    END IF;
    IF cardinality(p_doubtful) > 0 THEN
      absent_objects := absent_objects || find_absent(v_space.world, p_doubtful);
    END IF;
    IF cardinality(p_puts.ids) > 0 THEN
      PERFORM put_objects(v_space.world, v_space.generation_seq, v_authors, p_puts);
    END IF;
    IF cardinality(p_deletes.ids) > 0 THEN
      v_removed := remove_objects(v_space.world, p_deletes);
      IF cardinality(v_removed) < cardinality(p_deletes.ids) THEN
        absent_objects := absent_objects || ARRAY(SELECT unnest(p_deletes.ids) EXCEPT SELECT unnest(v_removed));
      END IF;
    END IF;
    IF cardinality(p_avatars.ids) > 0 AND move_avatars(p_space, p_avatars) < cardinality(p_avatars.ids) THEN
      absent_users := ARRAY(
        SELECT c.id FROM unnest(p_avatars.ids) AS c (id)
        LEFT JOIN LATERAL (
          SELECT u.user_id FROM users u WHERE u.tenant_id = v_tenant AND u.user_id = c.id OFFSET 0
        ) AS u ON true
        WHERE u.user_id IS NULL);
    END IF;
    IF cardinality(p_messages.ids) > 0 THEN
      absent_messages := write_messages(p_space, p_messages);
    END IF;
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
    poison := find_poison(
      p_space, v_space.world, v_space.generation_seq, v_authors, p_moves, p_patches, p_puts, p_avatars, p_messages);
    IF poison IS NULL THEN
      RAISE;
    END IF;
    status := 'poisoned';
    RETURN;
  END;

  IF p_changes > 0 OR p_posted > 0 THEN
    INSERT INTO space_days AS d (tenant_id, space_id, day, changes, messages)
    VALUES (v_tenant, p_space, (to_timestamp(p_to / 1000000) AT TIME ZONE 'UTC')::date, p_changes, p_posted)
    ON CONFLICT (tenant_id, space_id, day)
    DO UPDATE SET changes = d.changes + excluded.changes, messages = d.messages + excluded.messages;
  END IF;

  v_results := mark_absent(p_results, p_presumed, absent_objects, absent_users, absent_messages);
  IF cardinality(p_written_seqs) > 0 THEN
    PERFORM keep_written(p_space, v_space.world, p_written_seqs, p_written_ids);
  END IF;

  dead := '[]';
  no_effects := '[]';
  FOR v_i IN 1 .. coalesce(cardinality(p_singles.seqs), 0) LOOP
    v_seq := p_singles.seqs[v_i];
    v_id := p_singles.ids[v_i];
    IF v_seq <> v_entry THEN
      v_entry := v_seq;
      v_before := '{}';
    END IF;
    v_now := coalesce((
      SELECT coalesce(nullif(o.seq, 0), v_space.generation_seq) FROM world_objects o
      WHERE o.world = v_space.world AND o.object_id = v_id
    ), 0);
    IF NOT v_before ? v_id THEN
      v_before := v_before || jsonb_build_object(v_id, v_now);
    END IF;
    PERFORM set_config('app.origins', '', true),
      set_config('app.actor', coalesce(p_authors[p_singles.authors[v_i]], ''), true),
      set_config('app.request_id', coalesce(p_singles.requests[v_i], ''), true);
    BEGIN
      v_status := apply_single(
        p_space, v_space.world, v_space.generation_seq, (v_before ->> v_id)::bigint, v_now,
        v_seq, v_id, v_authors[p_singles.authors[v_i]], p_singles.ops[v_i]::jsonb);
      IF v_status = 'applied' AND v_seq = ANY (p_written_seqs) THEN
        PERFORM keep_written(p_space, v_space.world, ARRAY[v_seq], ARRAY[v_id]);
      END IF;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
      GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_constraint = CONSTRAINT_NAME;
      v_status := 'rejected';
      INSERT INTO dead_letters (
        tenant_id, dead_letter_id, space_id, incarnation, seq, index, actor, kind, target_id, op, sql_state, constraint_name)
      VALUES (
        v_tenant, p_singles.letters[v_i], p_space, p_incarnation, v_seq, p_singles.indexes[v_i], p_authors[p_singles.authors[v_i]],
        p_singles.kinds[v_i], v_id, p_singles.ops[v_i]::json, v_sqlstate, nullif(v_constraint, ''));
      dead := dead || jsonb_build_object(
        'id', p_singles.letters[v_i], 'seq', v_seq, 'index', p_singles.indexes[v_i], 'kind', p_singles.kinds[v_i],
        'target', v_id);
    END;
    IF v_status IN ('unknown_object', 'conflict') THEN
      no_effects := no_effects || jsonb_build_object('seq', v_seq, 'index', p_singles.indexes[v_i], 'status', v_status);
    END IF;
    IF v_results ? v_seq::text THEN
      v_results := jsonb_set(
        v_results, ARRAY[v_seq::text, p_singles.indexes[v_i]::text, 'status'], to_jsonb(v_status));
    END IF;
  END LOOP;

  PERFORM note_in_log(p_space, v_results, p_incidents);
  status := 'applied';
END
$$;
