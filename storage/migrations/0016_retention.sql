-- How long posts are kept: what was counted of older days stays, and nothing older comes back.

CREATE TABLE hoaxwatch.retention (
    floor            timestamptz PRIMARY KEY,
    raised_at        timestamptz NOT NULL,
    contents_removed bigint NOT NULL DEFAULT 0,
    posts_removed    bigint NOT NULL DEFAULT 0,
    finished_at      timestamptz,
    CHECK (floor = date_trunc('day', floor, 'UTC'))
);
COMMENT ON TABLE hoaxwatch.retention IS 'From when on posts are kept: the greatest floor counts. Older posts are removed and taken no more; what was counted of older days stays as it was.';
COMMENT ON COLUMN hoaxwatch.retention.floor IS 'Start of a UTC day. A post published before it that is not stored ends as expired.';
COMMENT ON COLUMN hoaxwatch.retention.raised_at IS 'Since when that is so (wall clock, UTC).';
COMMENT ON COLUMN hoaxwatch.retention.contents_removed IS 'Contents that went: all of whose posts, originals and shares, were older.';
COMMENT ON COLUMN hoaxwatch.retention.posts_removed IS 'Their posts.';
COMMENT ON COLUMN hoaxwatch.retention.finished_at IS 'When the last of them was removed (wall clock, UTC); NULL: some may be left, the same command removes them.';

CREATE VIEW mart.retention AS
SELECT floor, raised_at, contents_removed, posts_removed, finished_at FROM hoaxwatch.retention;
COMMENT ON VIEW mart.retention IS 'From when on posts are kept. Days before the greatest floor are as they were counted then.';

-- Views repeat the comments of the columns they show.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT v.attname AS column_name, col_description(t.attrelid, t.attnum) AS said
        FROM pg_attribute v JOIN pg_attribute t
          ON t.attrelid = 'hoaxwatch.retention'::regclass AND t.attname = v.attname
        WHERE v.attrelid = 'mart.retention'::regclass AND v.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN mart.retention.%I IS %L', item.column_name, item.said);
    END LOOP;
END $$;
