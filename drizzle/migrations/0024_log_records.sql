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
	"replayed_at" timestamp with time zone,
	CONSTRAINT "dead_letters_tenant_id_dead_letter_id_pk" PRIMARY KEY("tenant_id","dead_letter_id"),
	CONSTRAINT "dead_letters_id_form" CHECK (("dead_letters"."dead_letter_id" ~ '^[A-Za-z0-9._:-]+$' and octet_length("dead_letters"."dead_letter_id") <= 128)),
	CONSTRAINT "dead_letters_kind_known" CHECK ("dead_letters"."kind" in ('object', 'avatar', 'stage'))
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
	CONSTRAINT "incidents_id_form" CHECK (("incidents"."incident_id" ~ '^[A-Za-z0-9._:-]+$' and octet_length("incidents"."incident_id") <= 128)),
	CONSTRAINT "incidents_kind_known" CHECK ("incidents"."kind" in ('log_lost', 'log_gap'))
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
ALTER TABLE "spaces" ADD COLUMN "incarnation_seq" bigint;--> statement-breakpoint
-- Row security holds for the owner too, who has no policy: it is put aside for one statement, of which nobody sees the middle.
ALTER TABLE "spaces" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
UPDATE "spaces" SET "incarnation_seq" = "log_cursor";--> statement-breakpoint
ALTER TABLE "spaces" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "spaces" ALTER COLUMN "incarnation_seq" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "spaces" ADD COLUMN "log_instance" text;--> statement-breakpoint
ALTER TABLE "spaces" ADD COLUMN "log_opened_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "world_stages" ADD COLUMN "queued_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "world_stages" ADD COLUMN "aside" json;--> statement-breakpoint
CREATE INDEX "dead_letters_uncorrected" ON "dead_letters" USING btree ("tenant_id","space_id","seq") WHERE corrected_at is null;--> statement-breakpoint
CREATE INDEX "dead_letters_oldest" ON "dead_letters" USING btree ("tenant_id","created_at");--> statement-breakpoint
CREATE INDEX "incidents_oldest" ON "incidents" USING btree ("tenant_id","created_at");--> statement-breakpoint
CREATE INDEX "write_results_oldest" ON "write_results" USING btree ("tenant_id","created_at");--> statement-breakpoint
CALL protect_tenant_table('dead_letters', 'SELECT, INSERT, UPDATE, DELETE');--> statement-breakpoint
CALL protect_tenant_table('write_results', 'SELECT, INSERT, UPDATE, DELETE');--> statement-breakpoint
CALL protect_tenant_table('incidents', 'SELECT, INSERT, DELETE');
