-- RFC 7396: members of the patch replace those of the target, null removes, objects merge, anything else replaces whole.
CREATE FUNCTION json_merge_patch(target jsonb, patch jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  result jsonb;
  member record;
BEGIN
  IF jsonb_typeof(patch) IS DISTINCT FROM 'object' THEN
    RETURN patch;
  END IF;
  result := CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}'::jsonb END;
  FOR member IN SELECT key, value FROM jsonb_each(patch) LOOP
    IF jsonb_typeof(member.value) = 'null' THEN
      result := result - member.key;
    ELSIF jsonb_typeof(member.value) = 'object' THEN
      result := result || jsonb_build_object(member.key, json_merge_patch(result -> member.key, member.value));
    ELSE
      result := result || jsonb_build_object(member.key, member.value);
    END IF;
  END LOOP;
  RETURN result;
END
$$;
