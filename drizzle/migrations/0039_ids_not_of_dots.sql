-- No id is made of dots alone: a URL's path loses it. Rows from before are not looked at, so that none stops this.
ALTER TABLE "media_assets" DROP CONSTRAINT "media_assets_id_form", ADD CONSTRAINT "media_assets_id_form" CHECK (("media_assets"."media_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("media_assets"."media_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "uploaded_models" DROP CONSTRAINT "uploaded_models_id_form", ADD CONSTRAINT "uploaded_models_id_form" CHECK (("uploaded_models"."model_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("uploaded_models"."model_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "sessions" DROP CONSTRAINT "sessions_id_form", ADD CONSTRAINT "sessions_id_form" CHECK (("sessions"."session_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("sessions"."session_id") <= 128) and ("sessions"."space_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("sessions"."space_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "users" DROP CONSTRAINT "users_id_form", ADD CONSTRAINT "users_id_form" CHECK (("users"."user_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("users"."user_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "chat_messages" DROP CONSTRAINT "chat_messages_id_form", ADD CONSTRAINT "chat_messages_id_form" CHECK (("chat_messages"."message_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("chat_messages"."message_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "spaces" DROP CONSTRAINT "spaces_id_form", ADD CONSTRAINT "spaces_id_form" CHECK (("spaces"."space_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("spaces"."space_id") <= 128) and ("spaces"."incarnation" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("spaces"."incarnation") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "world_objects" DROP CONSTRAINT "world_objects_id_form", ADD CONSTRAINT "world_objects_id_form" CHECK (("world_objects"."object_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("world_objects"."object_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "world_objects" DROP CONSTRAINT "world_objects_model_id_form", ADD CONSTRAINT "world_objects_model_id_form" CHECK (("world_objects"."model_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("world_objects"."model_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "world_objects" DROP CONSTRAINT "world_objects_parent_id_form", ADD CONSTRAINT "world_objects_parent_id_form" CHECK (("world_objects"."parent_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("world_objects"."parent_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "world_stages" DROP CONSTRAINT "world_stages_id_form", ADD CONSTRAINT "world_stages_id_form" CHECK (("world_stages"."stage_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("world_stages"."stage_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "api_keys" DROP CONSTRAINT "api_keys_id_form", ADD CONSTRAINT "api_keys_id_form" CHECK (("api_keys"."key_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("api_keys"."key_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "tenants" DROP CONSTRAINT "tenants_id_form", ADD CONSTRAINT "tenants_id_form" CHECK (("tenants"."tenant_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("tenants"."tenant_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "object_removals" DROP CONSTRAINT "object_removals_id_form", ADD CONSTRAINT "object_removals_id_form" CHECK (("object_removals"."object_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("object_removals"."object_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "dead_letters" DROP CONSTRAINT "dead_letters_id_form", ADD CONSTRAINT "dead_letters_id_form" CHECK (("dead_letters"."dead_letter_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("dead_letters"."dead_letter_id") <= 128)) NOT VALID;
--> statement-breakpoint
ALTER TABLE "incidents" DROP CONSTRAINT "incidents_id_form", ADD CONSTRAINT "incidents_id_form" CHECK (("incidents"."incident_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("incidents"."incident_id") <= 128)) NOT VALID;
