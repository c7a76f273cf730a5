-- RFC 7396: members of the patch replace those of the target, null removes, objects merge, anything else replaces whole.
-- One pass over each level: building the result member by member takes seconds for some thousand of them.
CREATE FUNCTION json_merge_patch(target jsonb, patch jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
  IF jsonb_typeof(patch) IS DISTINCT FROM 'object' THEN
    RETURN patch;
  END IF;
  RETURN (
    SELECT coalesce(
      jsonb_object_agg(
        key,
        CASE
          WHEN p.value IS NULL THEN t.value
          WHEN jsonb_typeof(p.value) = 'object' THEN json_merge_patch(t.value, p.value)
          ELSE p.value
        END),
      '{}')
    FROM jsonb_each(CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}' END) AS t
    FULL JOIN jsonb_each(patch) AS p USING (key)
    WHERE p.value IS NULL OR jsonb_typeof(p.value) <> 'null');
END
$$;
