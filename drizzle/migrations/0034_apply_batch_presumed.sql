-- apply_batch for results that hold only if all objects are there which the batch patches: to ask for them first would be a
-- round trip of its own. Where one is not there, the outcome is presumed_wrong, and nothing was applied.
CREATE FUNCTION apply_batch_presumed(
  p_space text, p_incarnation text, p_from bigint, p_to bigint,
  p_moves object_rows, p_patches object_rows, p_puts object_rows, p_deletes object_rows, p_avatars avatar_rows,
  p_singles single_rows, p_results jsonb, p_incidents jsonb, p_is_direct boolean,
  OUT status text, OUT at_cursor bigint, OUT at_incarnation text, OUT unknown integer, OUT dead jsonb, OUT poison jsonb)
LANGUAGE plpgsql
AS $$
BEGIN
  SELECT * INTO status, at_cursor, at_incarnation, unknown, dead, poison FROM apply_batch(
    p_space, p_incarnation, p_from, p_to, p_moves, p_patches, p_puts, p_deletes, p_avatars,
    p_singles, p_results, p_incidents, p_is_direct);
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
