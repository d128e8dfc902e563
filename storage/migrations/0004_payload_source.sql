-- Which format a raw record is in, so that a corrected reader can map it again.
ALTER TABLE hoaxwatch.payloads ADD COLUMN source text COLLATE "C";
COMMENT ON COLUMN hoaxwatch.payloads.source IS 'format:file or source:query that it came from: who can read it again. NULL: stored by an early version.';
