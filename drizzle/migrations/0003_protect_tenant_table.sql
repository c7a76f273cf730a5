-- What every table with a tenant_id gets: row security that holds for its owner too, a policy that shows a tenant its own
-- rows, one that shows the sweeping role all of them, and for worldkeep_app the named privileges and no others.
CREATE PROCEDURE protect_tenant_table(target regclass, app_privileges text)
LANGUAGE plpgsql
AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE format(
    'CREATE POLICY tenant_isolation ON %s TO worldkeep_app USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant())',
    target);
  EXECUTE format('CREATE POLICY jobs_across_tenants ON %s TO worldkeep_jobs USING (true) WITH CHECK (true)', target);
  EXECUTE format('GRANT %s ON %s TO worldkeep_app', app_privileges, target);
  EXECUTE format('GRANT SELECT, UPDATE, DELETE ON %s TO worldkeep_jobs', target);
END
$$;
--> statement-breakpoint
REVOKE ALL ON PROCEDURE protect_tenant_table(regclass, text) FROM PUBLIC;
