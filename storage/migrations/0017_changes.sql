-- Whether a cluster grew or shrank is told by who came and who left, no longer by how many were seen.
COMMENT ON COLUMN hoaxwatch.cluster_events.window_start IS 'Window in which it happened; for shrank, the one in which a whole length had passed without those who left (UTC).';
COMMENT ON COLUMN hoaxwatch.cluster_events.n_before IS 'Accounts in the window before (0: there was none of it); for grew and shrank the regulars: seen in at least half of the windows before.';
COMMENT ON COLUMN hoaxwatch.cluster_events.n_after IS 'Accounts in the window (0: there is none of it); for grew the regulars and those who came, for shrank the regulars without those who left.';
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT a.attname AS column_name, col_description(a.attrelid, a.attnum) AS said
        FROM pg_attribute a WHERE a.attrelid = 'hoaxwatch.cluster_events'::regclass
        AND a.attname IN ('window_start', 'n_before', 'n_after')
    LOOP
        EXECUTE format('COMMENT ON COLUMN mart.cluster_events.%I IS %L', item.column_name, item.said);
    END LOOP;
END $$;

-- Stored windows are counted once more, so that their events are told anew.
INSERT INTO hoaxwatch.dirty_buckets (hashtag, hour)
SELECT DISTINCT hashtag, date_trunc('hour', first_at) FROM hoaxwatch.networks;
