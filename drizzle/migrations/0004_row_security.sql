CALL protect_tenant_table('tenants', 'SELECT, INSERT, UPDATE');
--> statement-breakpoint
CALL protect_tenant_table('api_keys', 'SELECT, INSERT, UPDATE');
--> statement-breakpoint
CALL protect_tenant_table('spaces', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('world_objects', 'SELECT, INSERT, UPDATE, DELETE');
--> statement-breakpoint
CALL protect_tenant_table('world_stages', 'SELECT, INSERT, UPDATE, DELETE');
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
