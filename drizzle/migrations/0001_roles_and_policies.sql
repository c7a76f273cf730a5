-- The two roles that are not the owner. Roles belong to the whole server, so they may be there already.
-- worldkeep_app runs the product: it owns nothing and row security holds for it. It may log in once it has a password,
-- which no migration holds.
-- worldkeep_jobs owns the functions that must look across tenants (sweeps, retention); nobody logs in as it.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['worldkeep_app', 'worldkeep_jobs'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname IN ('worldkeep_app', 'worldkeep_jobs') AND (rolsuper OR rolbypassrls)) THEN
    RAISE EXCEPTION 'worldkeep_app and worldkeep_jobs must have neither SUPERUSER nor BYPASSRLS: row security would not hold. Make them with SQL, not with a console that adds rights.';
  END IF;
END
$$;
--> statement-breakpoint
-- The owner of the functions of worldkeep_jobs may do nothing except hand them over to that role.
GRANT worldkeep_jobs TO CURRENT_USER WITH INHERIT FALSE, SET TRUE;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO worldkeep_app, worldkeep_jobs;
--> statement-breakpoint
-- A statement whose caller has gone is not worked on for ever. Where the role is somebody else's, it is theirs to set.
DO $$
BEGIN
  ALTER ROLE worldkeep_app SET statement_timeout = '30s';
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING 'worldkeep_app is not this role''s to alter: give it a statement_timeout';
END
$$;
--> statement-breakpoint
-- A temporary table could hide one of the product's tables in the session that created it.
DO $$
BEGIN
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;
--> statement-breakpoint
-- The runtime role may see which migrations have run, so that what it runs can be held against them.
GRANT USAGE ON SCHEMA drizzle TO worldkeep_app;
--> statement-breakpoint
GRANT SELECT ON drizzle.__drizzle_migrations TO worldkeep_app;
--> statement-breakpoint
-- Each new world draws its number.
GRANT USAGE ON SEQUENCE world_numbers TO worldkeep_app;
--> statement-breakpoint
-- The tenant of this transaction, set by its first statement; NULL where none is. set_config leaves '' behind, not NULL.
CREATE FUNCTION current_tenant() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.tenant_id', true), '') $$;
--> statement-breakpoint
-- Protects a table with tenant rows. Row security holds for its owner too. One policy shows a tenant its own rows. Another shows the
-- sweeping role all rows. worldkeep_app gets only the named privileges.
CREATE PROCEDURE protect_table(target regclass, app_privileges text, is_own text)
LANGUAGE plpgsql
AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE format(
    'CREATE POLICY tenant_isolation ON %s TO worldkeep_app USING (%s) WITH CHECK (%s)', target, is_own, is_own);
  EXECUTE format('CREATE POLICY jobs_across_tenants ON %s TO worldkeep_jobs USING (true) WITH CHECK (true)', target);
  EXECUTE format('GRANT %s ON %s TO worldkeep_app', app_privileges, target);
  EXECUTE format('GRANT SELECT, UPDATE, DELETE ON %s TO worldkeep_jobs', target);
END
$$;
--> statement-breakpoint
CREATE PROCEDURE protect_tenant_table(target regclass, app_privileges text)
LANGUAGE sql
AS $$ CALL protect_table(target, app_privileges, 'tenant_id = current_tenant()') $$;
--> statement-breakpoint
-- The upper bits of a world's number are the number of its tenant: one comparison, and no list of the tenant's worlds.
CREATE PROCEDURE protect_world_table(target regclass, app_privileges text)
LANGUAGE sql
AS $$
  CALL protect_table(
    target, app_privileges, 'world >> 39 = (SELECT t.number FROM tenants t WHERE t.tenant_id = current_tenant())')
$$;
--> statement-breakpoint
REVOKE ALL ON PROCEDURE protect_table(regclass, text, text), protect_tenant_table(regclass, text), protect_world_table(regclass, text) FROM PUBLIC;
--> statement-breakpoint
CALL protect_tenant_table('tenants', 'SELECT, INSERT, UPDATE');
--> statement-breakpoint
CALL protect_tenant_table('authors', 'SELECT, INSERT, UPDATE');
--> statement-breakpoint
CALL protect_tenant_table('api_keys', 'SELECT, INSERT, UPDATE');
--> statement-breakpoint
CALL protect_tenant_table('incidents', 'SELECT, INSERT, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('spaces', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('worlds', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('world_stages', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('written_objects', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('space_members', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('chat_messages', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('users', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('sessions', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('uploaded_models', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('media_assets', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('space_assets', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('stored_files', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('file_totals', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('loose_objects', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('file_uploads', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('file_parts', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('dead_letters', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('write_results', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_world_table('world_objects', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_world_table('object_removals', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
-- tenants.rev moves with every write to what a state shows but no space's order holds, so that a state's ETag moves too.
-- When somebody was last seen is not shown in a state and moves nothing.
CREATE FUNCTION move_tenant_rev() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  UPDATE tenants SET rev = rev + 1 WHERE tenant_id = current_tenant();
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER users_move_rev AFTER INSERT OR DELETE OR UPDATE OF display_name, avatar_url, properties ON users
FOR EACH STATEMENT EXECUTE FUNCTION move_tenant_rev();
--> statement-breakpoint
-- An uploaded model has a new id, which no state can show yet. A saved world may bring any id: flip_stage moves rev itself.
CREATE TRIGGER uploaded_models_move_rev AFTER DELETE OR UPDATE ON uploaded_models
FOR EACH STATEMENT EXECUTE FUNCTION move_tenant_rev();
--> statement-breakpoint
CREATE TRIGGER media_assets_move_rev AFTER DELETE OR UPDATE ON media_assets
FOR EACH STATEMENT EXECUTE FUNCTION move_tenant_rev();
--> statement-breakpoint
CREATE TRIGGER spaces_move_rev AFTER UPDATE OF name, description, settings, bounds ON spaces
FOR EACH STATEMENT EXECUTE FUNCTION move_tenant_rev();
--> statement-breakpoint
-- Postgres writes a changed row as a new row. If its page has room, and no indexed column changed, no index is written. A batch may
-- move all rows of a page, so half of each page stays free. Measured: a batch then costs Postgres half, and the table keeps its size.
ALTER TABLE world_objects SET (fillfactor = 50);
--> statement-breakpoint
ALTER TABLE space_members SET (fillfactor = 50);
--> statement-breakpoint
ALTER TABLE spaces SET (fillfactor = 50);
