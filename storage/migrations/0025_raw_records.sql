-- What raw records that are gone told is told by nobody again: remap and deletions keep it. And when
-- records came is asked all the time.

CREATE TABLE hoaxwatch.payload_drops (
    received_before timestamptz PRIMARY KEY
);
COMMENT ON TABLE hoaxwatch.payload_drops IS 'Which raw records retention removed. Posts published before may have had one whose values nothing tells again.';
COMMENT ON COLUMN hoaxwatch.payload_drops.received_before IS 'Start of a month: what was received before it is gone (UTC).';

-- Earlier versions did not note it; posts without their raw record do.
INSERT INTO hoaxwatch.payload_drops
SELECT date_trunc('month', coalesce(min(received_at), now()), 'UTC') FROM hoaxwatch.payloads
HAVING EXISTS (
    SELECT FROM hoaxwatch.posts p WHERE NOT EXISTS (
        SELECT FROM hoaxwatch.payloads y WHERE y.platform = p.platform
        AND y.post_id = p.post_id AND y.payload_hash = p.payload_hash));

-- Each sweep over alerts asks what came in the last hour.
CREATE INDEX payloads_by_time ON hoaxwatch.payloads USING brin (received_at);
