-- There is one order in a space, and one way into it: apply_batch and apply_stage move the cursor, and nothing else writes.
DROP FUNCTION put_object(text, text, json, bigint[], boolean);
--> statement-breakpoint
DROP FUNCTION patch_object(text, text, text, json, bigint[], boolean);
--> statement-breakpoint
DROP FUNCTION delete_object(text, text, bigint[], boolean);
--> statement-breakpoint
DROP FUNCTION commit_stage(text, text, text, text, json, json, json, json);
