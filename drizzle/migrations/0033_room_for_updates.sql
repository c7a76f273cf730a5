-- A row that moves is written anew beside the old one, and where its page has room for that, and no indexed column changed,
-- no index is written. A batch may move all the rows of a page at once, so half of each page is left free: measured, a
-- batch then costs Postgres half, and the table keeps its size (580 bytes an object after 300,000 moves; full pages grow
-- to 800 and more, for what is free in them is found only by the next vacuum).
ALTER TABLE world_objects SET (fillfactor = 50);
--> statement-breakpoint
ALTER TABLE space_members SET (fillfactor = 50);
--> statement-breakpoint
ALTER TABLE spaces SET (fillfactor = 50);
