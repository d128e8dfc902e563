-- Alerts that follow a story: opened, kept up to date, over; what people decided; where they were sent.

ALTER TABLE hoaxwatch.alerts
    ADD COLUMN hashtag         text COLLATE "C",
    ADD COLUMN opened_at       timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_at         timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN over_at         timestamptz,
    ADD COLUMN strength        numeric NOT NULL DEFAULT 0,
    ADD COLUMN n_episodes      integer NOT NULL DEFAULT 1,
    ADD COLUMN is_withdrawn    boolean NOT NULL DEFAULT false,
    ADD COLUMN is_shadow       boolean NOT NULL DEFAULT false,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN muted_until     timestamptz,
    ADD COLUMN muted_by        text,
    ADD COLUMN resolved_at     timestamptz,
    ADD COLUMN resolved_by     text,
    ADD COLUMN in_digest       boolean NOT NULL DEFAULT false;
COMMENT ON TABLE hoaxwatch.alerts IS 'What people are to be told: one row per story, that is per rule and subject, kept up to date. Told anew from clusters, trends and counters at each sweep; what people decided and what was sent stays.';
COMMENT ON COLUMN hoaxwatch.alerts.subject IS 'What it is about, as kind:value: lineage:NAME, tag:HASHTAG, sink:NAME, or posts.';
COMMENT ON COLUMN hoaxwatch.alerts.evidence IS 'Numbers and ids that show why: when it began, growth, why now, what ends it, posts, accounts.';
COMMENT ON COLUMN hoaxwatch.alerts.hashtag IS 'Counting form of the hashtag it is about; NULL: about none.';
COMMENT ON COLUMN hoaxwatch.alerts.opened_at IS 'When the rule first fired in the present episode (UTC): event time; of rules about the machinery wall clock.';
COMMENT ON COLUMN hoaxwatch.alerts.last_at IS 'When the rule fired last (UTC), in the same time.';
COMMENT ON COLUMN hoaxwatch.alerts.over_at IS 'When it was over by itself (UTC), in the same time; NULL: goes on.';
COMMENT ON COLUMN hoaxwatch.alerts.strength IS 'The greatest value in this episode of what the rule measures (see evidence: measure).';
COMMENT ON COLUMN hoaxwatch.alerts.n_episodes IS 'How often the story began anew after its cooldown, the first time included.';
COMMENT ON COLUMN hoaxwatch.alerts.is_withdrawn IS 'Counted again, for example after a deletion, the rule does not fire any more; kept since it was sent or decided on.';
COMMENT ON COLUMN hoaxwatch.alerts.is_shadow IS 'Recorded and never sent: its policy has shadow = true.';
COMMENT ON COLUMN hoaxwatch.alerts.acknowledged_at IS 'When somebody took it on (wall clock, UTC); NULL: nobody did.';
COMMENT ON COLUMN hoaxwatch.alerts.acknowledged_by IS 'Who took it on.';
COMMENT ON COLUMN hoaxwatch.alerts.muted_until IS 'Not sent before this time (wall clock, UTC); NULL: not muted.';
COMMENT ON COLUMN hoaxwatch.alerts.muted_by IS 'Who muted it.';
COMMENT ON COLUMN hoaxwatch.alerts.resolved_at IS 'When somebody declared this episode done (wall clock, UTC); NULL: nobody did.';
COMMENT ON COLUMN hoaxwatch.alerts.resolved_by IS 'Who declared it done.';
COMMENT ON COLUMN hoaxwatch.alerts.in_digest IS 'Sent in a digest with others, not by itself.';

-- what the rules read at each sweep: few of many rows
CREATE INDEX clusters_of_note ON hoaxwatch.clusters (clustering_id)
    WHERE emerging >= 0.01 OR n_coordinated >= 3;

CREATE TABLE hoaxwatch.alert_deliveries (
    alert_id      bigint NOT NULL,
    sink          text COLLATE "C" NOT NULL,
    sent_at       timestamptz,
    tries         integer NOT NULL,
    failing_since timestamptz,
    error         text,
    PRIMARY KEY (alert_id, sink)
);
COMMENT ON TABLE hoaxwatch.alert_deliveries IS 'Which sink has which alert, or why not. A new episode begins without rows.';
COMMENT ON COLUMN hoaxwatch.alert_deliveries.alert_id IS 'The alert.';
COMMENT ON COLUMN hoaxwatch.alert_deliveries.sink IS 'Name of the sink: log, webhook.';
COMMENT ON COLUMN hoaxwatch.alert_deliveries.sent_at IS 'Wall clock at which the sink had taken it (UTC); NULL: not yet.';
COMMENT ON COLUMN hoaxwatch.alert_deliveries.tries IS 'How often sending was tried, in this episode.';
COMMENT ON COLUMN hoaxwatch.alert_deliveries.failing_since IS 'First failure in this episode (wall clock, UTC); NULL: none.';
COMMENT ON COLUMN hoaxwatch.alert_deliveries.error IS 'The latest failure, without addresses or secrets; NULL: none.';

CREATE TABLE hoaxwatch.alert_digests (
    digest_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sink      text COLLATE "C" NOT NULL,
    sent_at   timestamptz NOT NULL,
    n_alerts  integer NOT NULL
);
COMMENT ON TABLE hoaxwatch.alert_digests IS 'Digests that went out: what was beyond the daily quota, or over before it could be sent.';
COMMENT ON COLUMN hoaxwatch.alert_digests.digest_id IS 'Number of the digest.';
COMMENT ON COLUMN hoaxwatch.alert_digests.sink IS 'Name of the sink it went to.';
COMMENT ON COLUMN hoaxwatch.alert_digests.sent_at IS 'Wall clock (UTC).';
COMMENT ON COLUMN hoaxwatch.alert_digests.n_alerts IS 'Alerts in it.';

CREATE VIEW mart.alerts AS
SELECT alert_id, rule, subject, hashtag,
       CASE WHEN is_withdrawn THEN 'withdrawn'
            WHEN over_at IS NOT NULL OR resolved_at IS NOT NULL THEN 'resolved'
            WHEN muted_until > now() THEN 'muted'
            WHEN acknowledged_at IS NOT NULL THEN 'acknowledged'
            ELSE 'open' END AS state,
       summary, strength, opened_at, last_at, over_at, n_episodes, is_shadow, acknowledged_at,
       acknowledged_by, muted_until, muted_by, resolved_at, resolved_by, created_at, sent_at,
       in_digest, tries, evidence
FROM hoaxwatch.alerts;
COMMENT ON VIEW mart.alerts IS 'What people are or were to be told: one row per story. Accounts and posts are in evidence, as ids.';

-- Views repeat the comments of the columns they show; what is new in a view is said here.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT v.attrelid::regclass AS view_name, v.attname AS column_name,
               col_description(t.attrelid, t.attnum) AS said
        FROM pg_attribute v JOIN pg_attribute t
          ON t.attrelid = 'hoaxwatch.alerts'::regclass AND t.attname = v.attname
        WHERE v.attrelid = 'mart.alerts'::regclass AND v.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.view_name, item.column_name, item.said);
    END LOOP;
END $$;
COMMENT ON COLUMN mart.alerts.state IS 'open, acknowledged, muted, resolved (over by itself or declared done) or withdrawn.';
