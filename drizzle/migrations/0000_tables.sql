CREATE SEQUENCE "public"."world_numbers" INCREMENT BY 1 MINVALUE 1 MAXVALUE 549755813887 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE TABLE "file_parts" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"upload_id" text COLLATE "C" NOT NULL,
	"part" integer NOT NULL,
	"etag" text NOT NULL,
	CONSTRAINT "file_parts_tenant_id_upload_id_part_pk" PRIMARY KEY("tenant_id","upload_id","part")
);
--> statement-breakpoint
CREATE TABLE "file_totals" (
	"tenant_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"bytes" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "file_uploads" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"upload_id" text COLLATE "C" NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"content_type" text,
	"bytes" bigint NOT NULL,
	"object_key" text NOT NULL,
	"bucket_upload_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "file_uploads_tenant_id_upload_id_pk" PRIMARY KEY("tenant_id","upload_id"),
	CONSTRAINT "file_uploads_name_size" CHECK (char_length("file_uploads"."name") <= 256)
);
--> statement-breakpoint
CREATE TABLE "loose_objects" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"object_key" text NOT NULL,
	"bucket_upload_id" text,
	"touched_at" timestamp with time zone DEFAULT now() NOT NULL,
	"is_doomed" boolean DEFAULT false NOT NULL,
	CONSTRAINT "loose_objects_tenant_id_object_key_pk" PRIMARY KEY("tenant_id","object_key")
);
--> statement-breakpoint
CREATE TABLE "stored_files" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"sha256" "bytea" NOT NULL,
	"object_key" text NOT NULL,
	"bytes" bigint NOT NULL,
	"uses" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "stored_files_tenant_id_sha256_pk" PRIMARY KEY("tenant_id","sha256"),
	CONSTRAINT "stored_files_uses_positive" CHECK ("stored_files"."uses" > 0 and "stored_files"."bytes" >= 0)
);
--> statement-breakpoint
CREATE TABLE "media_assets" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"media_id" text COLLATE "C" NOT NULL,
	"name" text NOT NULL,
	"url" text NOT NULL,
	"sha256" "bytea",
	"bytes" bigint,
	"content_type" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"file_sha256" "bytea",
	"details" jsonb,
	CONSTRAINT "media_assets_tenant_id_media_id_pk" PRIMARY KEY("tenant_id","media_id"),
	CONSTRAINT "media_assets_id_form" CHECK (("media_assets"."media_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("media_assets"."media_id") <= 128)),
	CONSTRAINT "media_assets_name_size" CHECK (char_length("media_assets"."name") <= 256),
	CONSTRAINT "media_assets_url_size" CHECK (char_length("media_assets"."url") <= 2048),
	CONSTRAINT "media_assets_bytes_range" CHECK ("media_assets"."bytes" >= 0 and octet_length("media_assets"."sha256") = 32)
);
--> statement-breakpoint
CREATE TABLE "space_assets" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"kind" text NOT NULL,
	"asset_id" text COLLATE "C" NOT NULL,
	CONSTRAINT "space_assets_tenant_id_space_id_kind_asset_id_pk" PRIMARY KEY("tenant_id","space_id","kind","asset_id"),
	CONSTRAINT "space_assets_kind_known" CHECK ("space_assets"."kind" in ('model', 'media'))
);
--> statement-breakpoint
CREATE TABLE "uploaded_models" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"model_id" text COLLATE "C" NOT NULL,
	"name" text NOT NULL,
	"url" text NOT NULL,
	"sha256" "bytea",
	"bytes" bigint,
	"content_type" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"file_sha256" "bytea",
	"details" jsonb,
	CONSTRAINT "uploaded_models_tenant_id_model_id_pk" PRIMARY KEY("tenant_id","model_id"),
	CONSTRAINT "uploaded_models_id_form" CHECK (("uploaded_models"."model_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("uploaded_models"."model_id") <= 128)),
	CONSTRAINT "uploaded_models_name_size" CHECK (char_length("uploaded_models"."name") <= 256),
	CONSTRAINT "uploaded_models_url_size" CHECK (char_length("uploaded_models"."url") <= 2048),
	CONSTRAINT "uploaded_models_bytes_range" CHECK ("uploaded_models"."bytes" >= 0 and octet_length("uploaded_models"."sha256") = 32)
);
--> statement-breakpoint
CREATE TABLE "dead_letters" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"dead_letter_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"incarnation" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"index" integer NOT NULL,
	"actor" text COLLATE "C",
	"kind" text NOT NULL,
	"target_id" text COLLATE "C" NOT NULL,
	"op" json NOT NULL,
	"sql_state" text,
	"constraint_name" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"corrected_at" timestamp with time zone,
	"replay_claimed_at" timestamp with time zone,
	"replayed_at" timestamp with time zone,
	CONSTRAINT "dead_letters_tenant_id_dead_letter_id_pk" PRIMARY KEY("tenant_id","dead_letter_id"),
	CONSTRAINT "dead_letters_id_form" CHECK (("dead_letters"."dead_letter_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("dead_letters"."dead_letter_id") <= 128)),
	CONSTRAINT "dead_letters_kind_known" CHECK ("dead_letters"."kind" in ('object', 'avatar', 'message', 'stage'))
);
--> statement-breakpoint
CREATE TABLE "incidents" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"incident_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"kind" text NOT NULL,
	"detail" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "incidents_tenant_id_incident_id_pk" PRIMARY KEY("tenant_id","incident_id"),
	CONSTRAINT "incidents_id_form" CHECK (("incidents"."incident_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("incidents"."incident_id") <= 128)),
	CONSTRAINT "incidents_kind_known" CHECK ("incidents"."kind" in ('log_lost', 'log_gap', 'redis_restarted', 'reader_ahead'))
);
--> statement-breakpoint
CREATE TABLE "write_results" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"results" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "write_results_tenant_id_space_id_seq_pk" PRIMARY KEY("tenant_id","space_id","seq")
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"session_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"role" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"last_heartbeat_at" timestamp with time zone,
	"ended_at" timestamp with time zone,
	CONSTRAINT "sessions_tenant_id_session_id_pk" PRIMARY KEY("tenant_id","session_id"),
	CONSTRAINT "sessions_id_form" CHECK (("sessions"."session_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("sessions"."session_id") <= 128) and ("sessions"."space_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("sessions"."space_id") <= 128)),
	CONSTRAINT "sessions_role_known" CHECK ("sessions"."role" in ('viewer', 'editor', 'owner'))
);
--> statement-breakpoint
CREATE TABLE "users" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"display_name" text NOT NULL,
	"avatar_url" text,
	"properties" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone,
	CONSTRAINT "users_tenant_id_user_id_pk" PRIMARY KEY("tenant_id","user_id"),
	CONSTRAINT "users_id_form" CHECK (("users"."user_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("users"."user_id") <= 128)),
	CONSTRAINT "users_display_name_size" CHECK (char_length("users"."display_name") <= 256),
	CONSTRAINT "users_avatar_url_size" CHECK (char_length("users"."avatar_url") <= 2048),
	CONSTRAINT "users_properties_size" CHECK (jsonb_typeof("users"."properties") = 'object' and octet_length("users"."properties"::text) <= 65536)
);
--> statement-breakpoint
CREATE TABLE "chat_messages" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"message_id" text COLLATE "C" NOT NULL,
	"user_id" text COLLATE "C",
	"text" text NOT NULL,
	"kind" text DEFAULT 'text' NOT NULL,
	"seq" bigint NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"deleted_at" timestamp with time zone,
	CONSTRAINT "chat_messages_tenant_id_space_id_message_id_pk" PRIMARY KEY("tenant_id","space_id","message_id"),
	CONSTRAINT "chat_messages_id_form" CHECK (("chat_messages"."message_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("chat_messages"."message_id") <= 128)),
	CONSTRAINT "chat_messages_text_size" CHECK (char_length("chat_messages"."text") <= 4000),
	CONSTRAINT "chat_messages_kind_size" CHECK (char_length("chat_messages"."kind") <= 128)
);
--> statement-breakpoint
CREATE TABLE "object_removals" (
	"world" bigint NOT NULL,
	"object_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	CONSTRAINT "object_removals_world_object_id_pk" PRIMARY KEY("world","object_id")
);
--> statement-breakpoint
CREATE TABLE "space_members" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"role" text DEFAULT 'viewer' NOT NULL,
	"seq" bigint DEFAULT 0 NOT NULL,
	"position_x" double precision,
	"position_y" double precision,
	"position_z" double precision,
	"rotation_x" double precision,
	"rotation_y" double precision,
	"rotation_z" double precision,
	"rotation_w" double precision,
	"properties" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"joined_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "space_members_tenant_id_space_id_user_id_pk" PRIMARY KEY("tenant_id","space_id","user_id"),
	CONSTRAINT "space_members_role_known" CHECK ("space_members"."role" in ('viewer', 'editor', 'owner')),
	CONSTRAINT "space_members_position_finite" CHECK (("space_members"."position_x" > '-Infinity' and "space_members"."position_x" < 'Infinity') and ("space_members"."position_y" > '-Infinity' and "space_members"."position_y" < 'Infinity') and ("space_members"."position_z" > '-Infinity' and "space_members"."position_z" < 'Infinity')),
	CONSTRAINT "space_members_rotation_finite" CHECK (("space_members"."rotation_x" > '-Infinity' and "space_members"."rotation_x" < 'Infinity') and ("space_members"."rotation_y" > '-Infinity' and "space_members"."rotation_y" < 'Infinity') and ("space_members"."rotation_z" > '-Infinity' and "space_members"."rotation_z" < 'Infinity') and ("space_members"."rotation_w" > '-Infinity' and "space_members"."rotation_w" < 'Infinity')),
	CONSTRAINT "space_members_avatar_whole" CHECK (num_nulls("space_members"."position_x", "space_members"."position_y", "space_members"."position_z", "space_members"."rotation_x", "space_members"."rotation_y", "space_members"."rotation_z", "space_members"."rotation_w") in (0, 7)),
	CONSTRAINT "space_members_properties_size" CHECK (jsonb_typeof("space_members"."properties") = 'object' and octet_length("space_members"."properties"::text) <= 65536)
);
--> statement-breakpoint
CREATE TABLE "spaces" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"incarnation" text COLLATE "C" NOT NULL,
	"name" text NOT NULL,
	"description" text,
	"settings" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"bounds" jsonb,
	"log_cursor" bigint NOT NULL,
	"world" bigint NOT NULL,
	"generation_seq" bigint NOT NULL,
	"incarnation_seq" bigint NOT NULL,
	"log_instance" text,
	"log_opened_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"deleted_at" timestamp with time zone,
	CONSTRAINT "spaces_tenant_id_space_id_pk" PRIMARY KEY("tenant_id","space_id"),
	CONSTRAINT "spaces_id_form" CHECK (("spaces"."space_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("spaces"."space_id") <= 128) and ("spaces"."incarnation" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("spaces"."incarnation") <= 128)),
	CONSTRAINT "spaces_name_size" CHECK (char_length("spaces"."name") <= 256),
	CONSTRAINT "spaces_description_size" CHECK (char_length("spaces"."description") <= 4096),
	CONSTRAINT "spaces_settings_size" CHECK (jsonb_typeof("spaces"."settings") = 'object' and octet_length("spaces"."settings"::text) <= 65536),
	CONSTRAINT "spaces_seq_safe" CHECK ("spaces"."log_cursor" between 0 and 9007199254740991)
);
--> statement-breakpoint
CREATE TABLE "world_objects" (
	"world" bigint NOT NULL,
	"object_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"created_seq" bigint NOT NULL,
	"position_x" double precision NOT NULL,
	"position_y" double precision NOT NULL,
	"position_z" double precision NOT NULL,
	"rotation_x" double precision NOT NULL,
	"rotation_y" double precision NOT NULL,
	"rotation_z" double precision NOT NULL,
	"rotation_w" double precision NOT NULL,
	"scale_x" double precision NOT NULL,
	"scale_y" double precision NOT NULL,
	"scale_z" double precision NOT NULL,
	"name" text,
	"model_id" text COLLATE "C",
	"parent_id" text COLLATE "C",
	"created_by" bigint,
	"updated_by" bigint,
	"properties" jsonb DEFAULT '{}'::jsonb NOT NULL,
	CONSTRAINT "world_objects_world_object_id_pk" PRIMARY KEY("world","object_id"),
	CONSTRAINT "world_objects_id_form" CHECK (("world_objects"."object_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("world_objects"."object_id") <= 128)),
	CONSTRAINT "world_objects_model_id_form" CHECK (("world_objects"."model_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("world_objects"."model_id") <= 128)),
	CONSTRAINT "world_objects_parent_id_form" CHECK (("world_objects"."parent_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("world_objects"."parent_id") <= 128)),
	CONSTRAINT "world_objects_name_size" CHECK (char_length("world_objects"."name") <= 256),
	CONSTRAINT "world_objects_position_finite" CHECK (("world_objects"."position_x" > '-Infinity' and "world_objects"."position_x" < 'Infinity') and ("world_objects"."position_y" > '-Infinity' and "world_objects"."position_y" < 'Infinity') and ("world_objects"."position_z" > '-Infinity' and "world_objects"."position_z" < 'Infinity')),
	CONSTRAINT "world_objects_rotation_finite" CHECK (("world_objects"."rotation_x" > '-Infinity' and "world_objects"."rotation_x" < 'Infinity') and ("world_objects"."rotation_y" > '-Infinity' and "world_objects"."rotation_y" < 'Infinity') and ("world_objects"."rotation_z" > '-Infinity' and "world_objects"."rotation_z" < 'Infinity') and ("world_objects"."rotation_w" > '-Infinity' and "world_objects"."rotation_w" < 'Infinity')),
	CONSTRAINT "world_objects_scale_finite" CHECK (("world_objects"."scale_x" > '-Infinity' and "world_objects"."scale_x" < 'Infinity') and ("world_objects"."scale_y" > '-Infinity' and "world_objects"."scale_y" < 'Infinity') and ("world_objects"."scale_z" > '-Infinity' and "world_objects"."scale_z" < 'Infinity')),
	CONSTRAINT "world_objects_rotation_length" CHECK ("world_objects"."rotation_x" <> 0 or "world_objects"."rotation_y" <> 0 or "world_objects"."rotation_z" <> 0 or "world_objects"."rotation_w" <> 0),
	CONSTRAINT "world_objects_properties_size" CHECK (jsonb_typeof("world_objects"."properties") = 'object' and octet_length("world_objects"."properties"::text) <= 65536)
);
--> statement-breakpoint
CREATE TABLE "world_stages" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"stage_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"world" bigint NOT NULL,
	"objects" integer DEFAULT 0 NOT NULL,
	"is_session" boolean DEFAULT false NOT NULL,
	"touched_at" timestamp with time zone DEFAULT now() NOT NULL,
	"queued_at" timestamp with time zone,
	"aside" json,
	CONSTRAINT "world_stages_tenant_id_stage_id_pk" PRIMARY KEY("tenant_id","stage_id"),
	CONSTRAINT "world_stages_id_form" CHECK (("world_stages"."stage_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("world_stages"."stage_id") <= 128))
);
--> statement-breakpoint
CREATE TABLE "worlds" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"world" bigint NOT NULL,
	CONSTRAINT "worlds_tenant_id_space_id_world_pk" PRIMARY KEY("tenant_id","space_id","world")
);
--> statement-breakpoint
CREATE TABLE "written_objects" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"object_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"created_seq" bigint NOT NULL,
	"position_x" double precision NOT NULL,
	"position_y" double precision NOT NULL,
	"position_z" double precision NOT NULL,
	"rotation_x" double precision NOT NULL,
	"rotation_y" double precision NOT NULL,
	"rotation_z" double precision NOT NULL,
	"rotation_w" double precision NOT NULL,
	"scale_x" double precision NOT NULL,
	"scale_y" double precision NOT NULL,
	"scale_z" double precision NOT NULL,
	"name" text,
	"model_id" text COLLATE "C",
	"parent_id" text COLLATE "C",
	"created_by" bigint,
	"updated_by" bigint,
	"properties" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "written_objects_tenant_id_space_id_seq_pk" PRIMARY KEY("tenant_id","space_id","seq")
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"key_id" text COLLATE "C" NOT NULL,
	"secret_sha256" "bytea" NOT NULL,
	"scopes" text[] NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "api_keys_tenant_id_key_id_pk" PRIMARY KEY("tenant_id","key_id"),
	CONSTRAINT "api_keys_secret" UNIQUE("tenant_id","secret_sha256"),
	CONSTRAINT "api_keys_id_form" CHECK (("api_keys"."key_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("api_keys"."key_id") <= 128)),
	CONSTRAINT "api_keys_secret_size" CHECK (octet_length("api_keys"."secret_sha256") = 32),
	CONSTRAINT "api_keys_scopes_known" CHECK ("api_keys"."scopes" <@ array['read', 'write', 'admin'] and cardinality("api_keys"."scopes") > 0)
);
--> statement-breakpoint
CREATE TABLE "authors" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"author_id" text COLLATE "C" NOT NULL,
	"number" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "authors_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	CONSTRAINT "authors_id" UNIQUE("tenant_id","author_id")
);
--> statement-breakpoint
CREATE TABLE "tenants" (
	"tenant_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"number" bigint GENERATED ALWAYS AS IDENTITY (sequence name "tenants_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 16777215 START WITH 1 CACHE 1),
	"rev" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tenants_number_unique" UNIQUE("number"),
	CONSTRAINT "tenants_id_form" CHECK (("tenants"."tenant_id" ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length("tenants"."tenant_id") <= 128))
);
--> statement-breakpoint
ALTER TABLE "file_parts" ADD CONSTRAINT "file_parts_tenant_id_upload_id_file_uploads_tenant_id_upload_id_fk" FOREIGN KEY ("tenant_id","upload_id") REFERENCES "public"."file_uploads"("tenant_id","upload_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "file_totals" ADD CONSTRAINT "file_totals_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "file_uploads" ADD CONSTRAINT "file_uploads_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "loose_objects" ADD CONSTRAINT "loose_objects_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "stored_files" ADD CONSTRAINT "stored_files_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "media_assets" ADD CONSTRAINT "media_assets_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "space_assets" ADD CONSTRAINT "space_assets_tenant_id_space_id_spaces_tenant_id_space_id_fk" FOREIGN KEY ("tenant_id","space_id") REFERENCES "public"."spaces"("tenant_id","space_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "uploaded_models" ADD CONSTRAINT "uploaded_models_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_tenant_id_user_id_users_tenant_id_user_id_fk" FOREIGN KEY ("tenant_id","user_id") REFERENCES "public"."users"("tenant_id","user_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "users" ADD CONSTRAINT "users_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "chat_messages" ADD CONSTRAINT "chat_messages_tenant_id_space_id_spaces_tenant_id_space_id_fk" FOREIGN KEY ("tenant_id","space_id") REFERENCES "public"."spaces"("tenant_id","space_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "space_members" ADD CONSTRAINT "space_members_tenant_id_space_id_spaces_tenant_id_space_id_fk" FOREIGN KEY ("tenant_id","space_id") REFERENCES "public"."spaces"("tenant_id","space_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "space_members" ADD CONSTRAINT "space_members_tenant_id_user_id_users_tenant_id_user_id_fk" FOREIGN KEY ("tenant_id","user_id") REFERENCES "public"."users"("tenant_id","user_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "spaces" ADD CONSTRAINT "spaces_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "world_stages" ADD CONSTRAINT "world_stages_tenant_id_space_id_spaces_tenant_id_space_id_fk" FOREIGN KEY ("tenant_id","space_id") REFERENCES "public"."spaces"("tenant_id","space_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_tenant_id_tenants_tenant_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("tenant_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "loose_objects_oldest" ON "loose_objects" USING btree ("tenant_id","touched_at");--> statement-breakpoint
CREATE INDEX "media_assets_file" ON "media_assets" USING btree ("tenant_id","file_sha256") WHERE file_sha256 is not null;--> statement-breakpoint
CREATE INDEX "uploaded_models_file" ON "uploaded_models" USING btree ("tenant_id","file_sha256") WHERE file_sha256 is not null;--> statement-breakpoint
CREATE INDEX "dead_letters_uncorrected" ON "dead_letters" USING btree ("tenant_id","space_id","seq") WHERE corrected_at is null;--> statement-breakpoint
CREATE INDEX "dead_letters_oldest" ON "dead_letters" USING btree ("tenant_id","created_at");--> statement-breakpoint
CREATE INDEX "incidents_oldest" ON "incidents" USING btree ("tenant_id","created_at");--> statement-breakpoint
CREATE INDEX "write_results_oldest" ON "write_results" USING btree ("tenant_id","created_at");--> statement-breakpoint
CREATE INDEX "sessions_of_space" ON "sessions" USING btree ("tenant_id","space_id","expires_at");--> statement-breakpoint
CREATE INDEX "chat_messages_newest" ON "chat_messages" USING btree ("tenant_id","space_id","created_at","message_id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "chat_messages_deleted" ON "chat_messages" USING btree ("tenant_id","deleted_at") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "object_removals_newest" ON "object_removals" USING btree ("world","seq");