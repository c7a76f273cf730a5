-- The runtime role may see which migrations have run, so that what it runs can be held against them.
GRANT USAGE ON SCHEMA drizzle TO worldkeep_app;
--> statement-breakpoint
GRANT SELECT ON drizzle.__drizzle_migrations TO worldkeep_app;
