CREATE TABLE "object_removals" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"space_id" text COLLATE "C" NOT NULL,
	"generation" bigint NOT NULL,
	"object_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	CONSTRAINT "object_removals_tenant_id_space_id_generation_object_id_pk" PRIMARY KEY("tenant_id","space_id","generation","object_id"),
	CONSTRAINT "object_removals_id_form" CHECK (("object_removals"."object_id" ~ '^[A-Za-z0-9._:-]+$' and octet_length("object_removals"."object_id") <= 128))
);
--> statement-breakpoint
ALTER TABLE "world_objects" ADD COLUMN "cell_x" integer GENERATED ALWAYS AS (greatest(-2147483648, least(2147483647, floor(floor(position_x) / 32)))::integer) STORED;--> statement-breakpoint
ALTER TABLE "world_objects" ADD COLUMN "cell_y" integer GENERATED ALWAYS AS (greatest(-2147483648, least(2147483647, floor(floor(position_y) / 32)))::integer) STORED;--> statement-breakpoint
ALTER TABLE "world_objects" ADD COLUMN "cell_z" integer GENERATED ALWAYS AS (greatest(-2147483648, least(2147483647, floor(floor(position_z) / 32)))::integer) STORED;--> statement-breakpoint
ALTER TABLE "object_removals" ADD CONSTRAINT "object_removals_tenant_id_space_id_spaces_tenant_id_space_id_fk" FOREIGN KEY ("tenant_id","space_id") REFERENCES "public"."spaces"("tenant_id","space_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "object_removals_newest" ON "object_removals" USING btree ("tenant_id","space_id","seq");--> statement-breakpoint
CREATE INDEX "world_objects_cells" ON "world_objects" USING btree ("tenant_id","space_id","generation","cell_x","cell_z","cell_y") WHERE cell_y is not null;