-- The tenant of this transaction, set by its first statement; NULL where none is. set_config leaves '' behind, not NULL.
CREATE FUNCTION current_tenant() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.tenant_id', true), '') $$;
