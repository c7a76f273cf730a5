-- The place after `last` in a space's order: the time in microseconds, or one more than the last where the clock is behind.
CREATE FUNCTION next_seq(last bigint) RETURNS bigint
LANGUAGE sql VOLATILE
AS $$ SELECT greatest(last + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) $$;
