-- The share through which an account found what it shares, where the platform names it.

ALTER TABLE hoaxwatch.posts ADD COLUMN shared_via text COLLATE "C";
COMMENT ON COLUMN hoaxwatch.posts.shared_via IS 'The share through which the account found the original (Bluesky names it); NULL: not named. Posts stored before hoaxwatch kept it get it by hoaxwatch remap.';

CREATE OR REPLACE VIEW mart.propagation AS
SELECT s.platform, s.root_id, s.post_id, s.author_id IS NOT NULL AS author_known,
       r.post_id IS NOT NULL AS root_seen, s.posted_at,
       extract(epoch FROM s.posted_at - r.posted_at) AS delay_seconds, s.shared_via
FROM hoaxwatch.posts s
LEFT JOIN hoaxwatch.posts r ON r.platform = s.platform AND r.post_id = s.share_of
WHERE s.kind = 'share';
COMMENT ON COLUMN mart.propagation.shared_via IS 'The share through which the account found the original (Bluesky names it); NULL: not named.';
COMMENT ON VIEW mart.cascades IS 'One row per root that was shared. For its depth, where the platform names paths: hoaxwatch graph cascades.';
