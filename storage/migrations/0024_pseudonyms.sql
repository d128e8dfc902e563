-- Accounts stand in schema mart under pseudonyms, also in the evidence of alerts and in what live
-- sources covered.

CREATE OR REPLACE VIEW mart.alerts AS
SELECT alert_id, rule, subject, hashtag,
       CASE WHEN is_withdrawn THEN 'withdrawn'
            WHEN over_at IS NOT NULL OR resolved_at IS NOT NULL THEN 'resolved'
            WHEN muted_until > now() THEN 'muted'
            WHEN acknowledged_at IS NOT NULL THEN 'acknowledged'
            ELSE 'open' END AS state,
       summary, strength, opened_at, last_at, over_at, n_episodes, is_shadow, acknowledged_at,
       acknowledged_by, muted_until, muted_by, resolved_at, resolved_by, created_at, sent_at,
       in_digest, tries,
       jsonb_set(evidence, '{accounts}', coalesce((
           SELECT jsonb_agg(hoaxwatch.pseudonym(k.key, split_part(a.name, ':', 1),
                                                substr(a.name, strpos(a.name, ':') + 1))
                            ORDER BY a.place)
           FROM jsonb_array_elements_text(evidence -> 'accounts') WITH ORDINALITY AS a (name, place)
           CROSS JOIN hoaxwatch.pseudonym_key k
       ), '[]'), false) AS evidence
FROM hoaxwatch.alerts;
COMMENT ON VIEW mart.alerts IS 'What people are or were to be told: one row per story. Posts are in evidence as ids, accounts under pseudonyms.';
COMMENT ON COLUMN mart.alerts.evidence IS 'Numbers and ids that show why: when it began, growth, why now, what ends it, posts, pseudonyms of accounts.';

-- as mart.tracked: hashtags only
CREATE OR REPLACE VIEW mart.coverage AS
SELECT source, hashtag, covered_from, covered_until, asked, got, is_capped, error
FROM hoaxwatch.collections WHERE NOT starts_with(hashtag, 'from:');
COMMENT ON VIEW mart.coverage IS 'What live sources covered, one row per pull and hashtag. Time in no row was not collected. Accounts that sources are asked for are left out.';
