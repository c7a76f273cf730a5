DROP FUNCTION IF EXISTS apply_batch_presumed(
  text, text, bigint, bigint, object_rows, object_rows, object_rows, object_rows, avatar_rows, single_rows, jsonb, jsonb, boolean);
--> statement-breakpoint
DROP FUNCTION IF EXISTS apply_batch(
  text, text, bigint, bigint, object_rows, object_rows, object_rows, object_rows, avatar_rows, single_rows, jsonb, jsonb, boolean);
--> statement-breakpoint
-- Applies a stretch of a space's log, in one transaction that moves the cursor from p_from to p_to. Where the cursor is not at
-- p_from, nothing is done: a batch that comes twice, or late, changes nothing. The rows of a batch are each of another object,
-- so their order is of no account; what cannot be kept among them is named, nothing is applied, and the caller sends it again
-- with those among p_singles, which are applied one by one, in order: what cannot be kept there goes to dead_letters.
-- p_results: {seq: [{id, status}]}, over which the outcomes of the singles are written. p_incidents: [{id, kind, detail}].
-- p_written_seqs, p_written_ids: the entries whose callers need an object as the entry left it, and the object of each.
-- p_doubtful: of p_puts, the objects that earlier operations of the batch took to be there.
-- p_is_direct: the batch is from no log, and must not come between the entries of one.
-- Outcomes: applied (unknown: moves and patches of what is not there; dead: [{id, seq, index, kind, target}]; absent_objects,
-- absent_users: of moves, patches, deletions, p_doubtful and avatars, what was not there; no_effects: [{seq, index, status}] of
-- singles that changed nothing),
-- moved (at_cursor, at_incarnation: where the space is), unknown_space, poisoned (poison: as find_poison has it), log_open: the
-- space is written through its log, and the batch is not from there.
CREATE OR REPLACE FUNCTION apply_batch(
  p_space text, p_incarnation text, p_from bigint, p_to bigint,
  p_moves object_rows, p_patches object_rows, p_puts object_rows, p_deletes object_rows, p_avatars avatar_rows,
  p_singles single_rows, p_results jsonb, p_written_seqs bigint[], p_written_ids text[], p_doubtful text[],
  p_incidents jsonb, p_is_direct boolean,
  OUT status text, OUT at_cursor bigint, OUT at_incarnation text, OUT unknown integer, OUT dead jsonb, OUT poison jsonb,
  OUT absent_objects text[], OUT absent_users text[], OUT no_effects jsonb)
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
  v_results jsonb := p_results;
  v_entry bigint := 0;
  v_before jsonb := '{}';
  v_seq bigint;
  v_id text;
  v_now bigint;
  v_status text;
  v_sqlstate text;
  v_constraint text;
  v_removed text[];
BEGIN
  SELECT * INTO v_space FROM spaces s
  WHERE s.tenant_id = v_tenant AND s.space_id = p_space AND s.deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    status := 'unknown_space';
    RETURN;
  END IF;
  IF p_is_direct AND v_space.log_instance IS NOT NULL THEN
    status := 'log_open';
    RETURN;
  END IF;
  IF v_space.log_cursor <> p_from OR v_space.incarnation <> p_incarnation THEN
    status := 'moved';
    at_cursor := v_space.log_cursor;
    at_incarnation := v_space.incarnation;
    RETURN;
  END IF;

  unknown := 0;
  absent_objects := '{}';
  absent_users := '{}';
  BEGIN
    UPDATE spaces s SET log_cursor = p_to WHERE s.tenant_id = v_tenant AND s.space_id = p_space;
    IF cardinality(p_moves.ids) > 0 THEN
      unknown := unknown + cardinality(p_moves.ids)
        - move_objects(p_space, v_space.generation, v_space.generation_seq, p_moves);
    END IF;
    IF cardinality(p_patches.ids) > 0 THEN
      unknown := unknown + cardinality(p_patches.ids)
        - patch_objects(p_space, v_space.generation, v_space.generation_seq, p_patches);
    END IF;
    IF unknown > 0 THEN
      absent_objects := find_absent(p_space, v_space.generation, p_moves.ids || p_patches.ids);
    END IF;
    IF cardinality(p_doubtful) > 0 THEN
      absent_objects := absent_objects || find_absent(p_space, v_space.generation, p_doubtful);
    END IF;
    IF cardinality(p_puts.ids) > 0 THEN
      PERFORM put_objects(p_space, v_space.generation, v_space.generation_seq, p_puts);
    END IF;
    IF cardinality(p_deletes.ids) > 0 THEN
      v_removed := remove_objects(p_space, v_space.generation, p_deletes);
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
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
    poison := find_poison(
      p_space, v_space.generation, v_space.generation_seq, p_moves, p_patches, p_puts, p_avatars);
    IF poison IS NULL THEN
      RAISE;
    END IF;
    status := 'poisoned';
    RETURN;
  END;

  IF cardinality(p_written_seqs) > 0 THEN
    PERFORM keep_written(p_space, v_space.generation, p_written_seqs, p_written_ids);
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
      WHERE o.tenant_id = v_tenant AND o.space_id = p_space AND o.generation = v_space.generation AND o.object_id = v_id
    ), 0);
    IF NOT v_before ? v_id THEN
      v_before := v_before || jsonb_build_object(v_id, v_now);
    END IF;
    BEGIN
      v_status := apply_single(
        p_space, v_space.generation, v_space.generation_seq, (v_before ->> v_id)::bigint, v_now,
        v_seq, v_id, p_singles.actors[v_i], p_singles.ops[v_i]::jsonb);
      IF v_status = 'applied' AND v_seq = ANY (p_written_seqs) THEN
        PERFORM keep_written(p_space, v_space.generation, ARRAY[v_seq], ARRAY[v_id]);
      END IF;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
      GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_constraint = CONSTRAINT_NAME;
      v_status := 'rejected';
      INSERT INTO dead_letters (
        tenant_id, dead_letter_id, space_id, incarnation, seq, index, actor, kind, target_id, op, sql_state, constraint_name)
      VALUES (
        v_tenant, p_singles.letters[v_i], p_space, p_incarnation, v_seq, p_singles.indexes[v_i], p_singles.actors[v_i],
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
--> statement-breakpoint
-- apply_batch for results that hold only if all objects are there which the batch patches: to ask for them first would be a
-- round trip of its own. Where one is not there, the outcome is presumed_wrong, and nothing was applied.
CREATE OR REPLACE FUNCTION apply_batch_presumed(
  p_space text, p_incarnation text, p_from bigint, p_to bigint,
  p_moves object_rows, p_patches object_rows, p_puts object_rows, p_deletes object_rows, p_avatars avatar_rows,
  p_singles single_rows, p_results jsonb, p_written_seqs bigint[], p_written_ids text[], p_doubtful text[],
  p_incidents jsonb, p_is_direct boolean,
  OUT status text, OUT at_cursor bigint, OUT at_incarnation text, OUT unknown integer, OUT dead jsonb, OUT poison jsonb,
  OUT absent_objects text[], OUT absent_users text[], OUT no_effects jsonb)
LANGUAGE plpgsql
AS $$
BEGIN
  SELECT * INTO status, at_cursor, at_incarnation, unknown, dead, poison, absent_objects, absent_users, no_effects
  FROM apply_batch(
    p_space, p_incarnation, p_from, p_to, p_moves, p_patches, p_puts, p_deletes, p_avatars,
    p_singles, p_results, p_written_seqs, p_written_ids, p_doubtful, p_incidents,
    p_is_direct);
  IF status = 'applied' AND unknown > 0 THEN
    RAISE EXCEPTION USING ERRCODE = 'WK000', MESSAGE = 'undone';
  END IF;
EXCEPTION WHEN SQLSTATE 'WK000' THEN
  -- What was assigned above stays.
  status := 'presumed_wrong';
  unknown := NULL;
  dead := NULL;
END
$$;
