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
CREATE TRIGGER uploaded_models_move_rev AFTER INSERT OR DELETE OR UPDATE ON uploaded_models
FOR EACH STATEMENT EXECUTE FUNCTION move_tenant_rev();
--> statement-breakpoint
CREATE TRIGGER media_assets_move_rev AFTER INSERT OR DELETE OR UPDATE ON media_assets
FOR EACH STATEMENT EXECUTE FUNCTION move_tenant_rev();
--> statement-breakpoint
CREATE TRIGGER spaces_move_rev AFTER UPDATE OF name, description, settings, bounds ON spaces
FOR EACH STATEMENT EXECUTE FUNCTION move_tenant_rev();
