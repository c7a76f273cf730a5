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
-- What only the owner of the functions of worldkeep_jobs may do is to hand them over to it.
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
-- A temporary table could stand before one of the product's for the session that made it.
DO $$
BEGIN
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;
