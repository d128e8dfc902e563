-- Clusters that keep their identity from window to window, and how far each can be trusted.

ALTER TABLE hoaxwatch.clusters
    ADD COLUMN stability     numeric(7, 6),
    ADD COLUMN hub_share     numeric(7, 6),
    ADD COLUMN is_star       boolean,
    ADD COLUMN n_coordinated integer,
    ADD COLUMN lineage       text COLLATE "C",
    ADD COLUMN n_before      integer,
    ADD COLUMN growth        numeric(7, 6),
    ADD COLUMN emerging      numeric(7, 6);
COMMENT ON COLUMN hoaxwatch.clusters.stability IS 'How far runs with other seeds find it again: mean Jaccard overlap (0 to 1); NULL: not measured.';
COMMENT ON COLUMN hoaxwatch.clusters.hub_share IS 'Part of the shares inside that have one and the same account at an end (0 to 1); NULL: nothing is shared inside.';
COMMENT ON COLUMN hoaxwatch.clusters.is_star IS 'One account with its audience, and no community; NULL: stored by an early version.';
COMMENT ON COLUMN hoaxwatch.clusters.n_coordinated IS 'Accounts in it that share the same within a minute more than chance explains; NULL: stored by an early version.';
COMMENT ON COLUMN hoaxwatch.clusters.lineage IS 'Name of the lineage that it continues: the same from window to window; NULL: too small to be followed.';
COMMENT ON COLUMN hoaxwatch.clusters.n_before IS 'Accounts of the lineage one window length earlier; 0: it was not there; NULL: not followed.';
COMMENT ON COLUMN hoaxwatch.clusters.growth IS 'Part of its accounts that is surely growth since then (0 to 1); NULL: not followed.';
COMMENT ON COLUMN hoaxwatch.clusters.emerging IS 'growth x expected_low x stability x coordination (0 to 1): what to look at first; NULL: a factor is not known, or a star.';

CREATE TABLE hoaxwatch.cluster_events (
    hashtag      text COLLATE "C" NOT NULL,
    algorithm    text COLLATE "C" NOT NULL,
    window_start timestamptz NOT NULL,
    lineage      text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL
                 CHECK (kind IN ('born', 'grew', 'shrank', 'merged', 'split', 'died')),
    other        text COLLATE "C",
    n_before     integer NOT NULL,
    n_after      integer NOT NULL,
    PRIMARY KEY (hashtag, algorithm, window_start, lineage)
);
COMMENT ON TABLE hoaxwatch.cluster_events IS 'What happened to a lineage from one window to the next.';
COMMENT ON COLUMN hoaxwatch.cluster_events.hashtag IS 'Counting form of the hashtag.';
COMMENT ON COLUMN hoaxwatch.cluster_events.algorithm IS 'louvain or infomap.';
COMMENT ON COLUMN hoaxwatch.cluster_events.window_start IS 'Start of the later of the two windows (UTC).';
COMMENT ON COLUMN hoaxwatch.cluster_events.lineage IS 'The lineage it happened to: for merged the one that ends, for split the one that begins.';
COMMENT ON COLUMN hoaxwatch.cluster_events.kind IS 'born, grew, shrank, merged, split or died.';
COMMENT ON COLUMN hoaxwatch.cluster_events.other IS 'The lineage it merged into or split from; NULL for other kinds.';
COMMENT ON COLUMN hoaxwatch.cluster_events.n_before IS 'Accounts in the window before; 0: it was not there.';
COMMENT ON COLUMN hoaxwatch.cluster_events.n_after IS 'Accounts in this window; 0: it is not there any more.';

CREATE TABLE hoaxwatch.lineage_labels (
    hashtag     text COLLATE "C" NOT NULL,
    algorithm   text COLLATE "C" NOT NULL,
    lineage     text COLLATE "C" NOT NULL,
    labelled_by text COLLATE "C" NOT NULL,
    label       text NOT NULL,
    labelled_at timestamptz NOT NULL,
    PRIMARY KEY (hashtag, algorithm, lineage, labelled_by)
);
COMMENT ON TABLE hoaxwatch.lineage_labels IS 'What people call a lineage. When posts that come late change its name, the label goes with its members.';
COMMENT ON COLUMN hoaxwatch.lineage_labels.hashtag IS 'Counting form of the hashtag.';
COMMENT ON COLUMN hoaxwatch.lineage_labels.algorithm IS 'louvain or infomap.';
COMMENT ON COLUMN hoaxwatch.lineage_labels.lineage IS 'The lineage.';
COMMENT ON COLUMN hoaxwatch.lineage_labels.labelled_by IS 'Who says so.';
COMMENT ON COLUMN hoaxwatch.lineage_labels.label IS 'What it is called.';
COMMENT ON COLUMN hoaxwatch.lineage_labels.labelled_at IS 'When it was said (UTC).';

CREATE OR REPLACE VIEW mart.clusters AS
SELECT k.hashtag, k.window_start, k.window_end, k.algorithm, k.params_hash, k.clustering_id,
       c.cluster, c.n_users, c.n_shares, c.judged, c.likely_false, c.expected_share,
       c.expected_low, c.expected_high, k.quality_name, k.quality, k.n_clusters, k.policy_id,
       c.lineage, c.stability, c.hub_share, c.is_star, c.n_coordinated, c.n_before, c.growth,
       c.emerging
FROM hoaxwatch.clusters c JOIN hoaxwatch.clusterings k USING (clustering_id);
CREATE VIEW mart.cluster_events AS
SELECT hashtag, algorithm, window_start, lineage, kind, other, n_before, n_after
FROM hoaxwatch.cluster_events;
CREATE VIEW mart.lineage_labels AS
SELECT hashtag, algorithm, lineage, labelled_by, label, labelled_at FROM hoaxwatch.lineage_labels;
COMMENT ON VIEW mart.cluster_events IS 'What happened to clusters from one window to the next: born, grew, shrank, merged, split, died.';
COMMENT ON VIEW mart.lineage_labels IS 'What people call lineages of clusters.';

-- Views repeat the comments of the columns they show.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT v.attrelid::regclass AS view_name, v.attname AS column_name,
               col_description(t.attrelid, t.attnum) AS said
        FROM pg_attribute v JOIN pg_class c ON c.oid = v.attrelid
        JOIN pg_class k ON k.relname = c.relname AND k.relnamespace = 'hoaxwatch'::regnamespace
        JOIN pg_attribute t ON t.attrelid = k.oid AND t.attname = v.attname
        WHERE c.relnamespace = 'mart'::regnamespace AND v.attnum > 0
          AND c.relname IN ('clusters', 'cluster_events', 'lineage_labels')
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.view_name, item.column_name, item.said);
    END LOOP;
END $$;

-- Clusters that an early version stored have no lineage: their hashtags are counted once more.
INSERT INTO hoaxwatch.dirty_buckets (hashtag, hour)
SELECT DISTINCT hashtag, date_trunc('hour', first_at) FROM hoaxwatch.networks;
