-- What workers behind Kafka keep: where each stands, what each is working on, who owns what.

-- Hashtags are shared among the workers that recount by the shard of their name: 64 shards, for ever.
ALTER TABLE hoaxwatch.dirty_buckets ADD COLUMN shard integer NOT NULL
    GENERATED ALWAYS AS (('x' || left(md5(hashtag), 2))::bit(8)::integer % 64) STORED;
COMMENT ON COLUMN hoaxwatch.dirty_buckets.shard IS 'Shard of the hashtag, 0 to 63: the first byte of its MD5 modulo 64. Says which worker counts it.';

CREATE TABLE hoaxwatch.stream_positions (
    topic       text COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    skipped     bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE hoaxwatch.stream_positions IS 'How far each partition was ever recorded, written in the transaction that recorded it. Kafka''s committed offset is where workers go on; this is what tells a record met again from a new one.';
COMMENT ON COLUMN hoaxwatch.stream_positions.topic IS 'Topic.';
COMMENT ON COLUMN hoaxwatch.stream_positions.partition IS 'Partition of the topic.';
COMMENT ON COLUMN hoaxwatch.stream_positions.next_offset IS 'Every record before this offset has its one outcome in stream_outcomes.';
COMMENT ON COLUMN hoaxwatch.stream_positions.skipped IS 'Records that never came: offsets jumped over, for example because the topic had dropped them. 0 is as it should be.';

CREATE TABLE hoaxwatch.stream_outcomes (
    topic     text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    outcome   text COLLATE "C" NOT NULL,
    records   bigint NOT NULL,
    PRIMARY KEY (topic, partition, outcome)
);
COMMENT ON TABLE hoaxwatch.stream_outcomes IS 'What became of each record of a topic, each counted once however often it was delivered. A batch of several partitions is counted under one of them: sums over partitions are exact.';
COMMENT ON COLUMN hoaxwatch.stream_outcomes.topic IS 'Topic.';
COMMENT ON COLUMN hoaxwatch.stream_outcomes.partition IS 'A partition of the batches counted here.';
COMMENT ON COLUMN hoaxwatch.stream_outcomes.outcome IS 'new, updated, unchanged, deletion applied, expired, not a post or quarantined.';
COMMENT ON COLUMN hoaxwatch.stream_outcomes.records IS 'Records with this outcome.';

CREATE TABLE hoaxwatch.offsets_in_work (
    topic        text COLLATE "C" NOT NULL,
    partition    integer NOT NULL,
    first_offset bigint NOT NULL,
    end_offset   bigint NOT NULL,
    lone_tries   integer NOT NULL,
    holder       text NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE hoaxwatch.offsets_in_work IS 'What a worker is working on. A row whose worker is gone was left by one that died: its records are gone through one at a time.';
COMMENT ON COLUMN hoaxwatch.offsets_in_work.topic IS 'Topic.';
COMMENT ON COLUMN hoaxwatch.offsets_in_work.partition IS 'Partition of the topic.';
COMMENT ON COLUMN hoaxwatch.offsets_in_work.first_offset IS 'First offset in work.';
COMMENT ON COLUMN hoaxwatch.offsets_in_work.end_offset IS 'Offset after the last one in work.';
COMMENT ON COLUMN hoaxwatch.offsets_in_work.lone_tries IS 'How often the first one was tried alone without an end; the third time it is quarantined.';
COMMENT ON COLUMN hoaxwatch.offsets_in_work.holder IS 'Which process noted it: a random name, new at each start.';

CREATE TABLE hoaxwatch.track_owner (
    partition   integer PRIMARY KEY,
    epoch       bigint NOT NULL,
    holder      text NOT NULL,
    backend_pid integer NOT NULL,
    taken_at    timestamptz NOT NULL
);
COMMENT ON TABLE hoaxwatch.track_owner IS 'Who counts the hashtags of which partition of topic activity. Each write of a counting worker first locks its row at its own epoch: one that was replaced while it slept writes nothing.';
COMMENT ON COLUMN hoaxwatch.track_owner.partition IS 'Partition of topic activity.';
COMMENT ON COLUMN hoaxwatch.track_owner.epoch IS 'Grows by one with each assignment.';
COMMENT ON COLUMN hoaxwatch.track_owner.holder IS 'The process that has it: a random name, new at each start.';
COMMENT ON COLUMN hoaxwatch.track_owner.backend_pid IS 'The server process of its connection.';
COMMENT ON COLUMN hoaxwatch.track_owner.taken_at IS 'Wall clock of the assignment (UTC).';

CREATE TABLE hoaxwatch.alerts (
    alert_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule       text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    summary    text NOT NULL,
    evidence   jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    sent_at    timestamptz,
    tries      integer NOT NULL DEFAULT 0,
    UNIQUE (rule, subject)
);
CREATE INDEX alerts_unsent ON hoaxwatch.alerts (alert_id) WHERE sent_at IS NULL;
COMMENT ON TABLE hoaxwatch.alerts IS 'What people are to be told, each once per rule and subject.';
COMMENT ON COLUMN hoaxwatch.alerts.alert_id IS 'Number of the alert; sent again after a crash, it has the same.';
COMMENT ON COLUMN hoaxwatch.alerts.rule IS 'The rule that fired.';
COMMENT ON COLUMN hoaxwatch.alerts.subject IS 'What it is about, as kind:value.';
COMMENT ON COLUMN hoaxwatch.alerts.summary IS 'One line for people.';
COMMENT ON COLUMN hoaxwatch.alerts.evidence IS 'Numbers and rows that show why.';
COMMENT ON COLUMN hoaxwatch.alerts.created_at IS 'Wall clock (UTC).';
COMMENT ON COLUMN hoaxwatch.alerts.sent_at IS 'Wall clock of the sending (UTC); NULL: waits.';
COMMENT ON COLUMN hoaxwatch.alerts.tries IS 'How often sending was tried.';
