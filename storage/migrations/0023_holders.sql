-- Whether whoever noted work is alive: then a successor takes the note over and suspects nothing.

ALTER TABLE hoaxwatch.offsets_in_work ADD COLUMN backend_pid integer;
COMMENT ON COLUMN hoaxwatch.offsets_in_work.backend_pid IS 'The server process of the holder''s connection: once it is gone, so is the holder.';
