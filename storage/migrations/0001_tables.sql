-- The tables of one project. Nothing here is kept by adding: counts are recomputed from rows.
-- Every time is UTC. Unknown is NULL; the one exception is an unknown observed_at, which is
-- '-infinity' so that it can be compared. Keys are COLLATE "C": the same order on every machine.

-- A value and when it was seen. GREATEST of two is the later one (then the greater value) and
-- ignores NULL, so merging is commutative and unknown never overwrites known.
CREATE TYPE hoaxwatch.observed_count AS (observed_at timestamptz, value bigint);
CREATE TYPE hoaxwatch.observed_text AS (observed_at timestamptz, value text COLLATE "C");
COMMENT ON TYPE hoaxwatch.observed_count IS 'A count and when it was seen (-infinity: unknown); GREATEST merges two.';
COMMENT ON TYPE hoaxwatch.observed_text IS 'A text and when it was seen (-infinity: unknown); GREATEST merges two.';

CREATE TABLE hoaxwatch.content (
    platform      text COLLATE "C" NOT NULL,
    root_id       text COLLATE "C" NOT NULL,
    text          text NOT NULL,
    lang          text,
    hashtags      text[] NOT NULL,
    links         text[] NOT NULL,
    completeness  smallint NOT NULL,
    observed_at   timestamptz NOT NULL,
    payload_hash  bytea NOT NULL,
    input_hash    bytea NOT NULL,
    PRIMARY KEY (platform, root_id)
);
COMMENT ON TABLE hoaxwatch.content IS 'What posts say: one row per original, pointed at by it and by all its shares. The version with the greatest (completeness, observed_at, payload_hash) stands.';
COMMENT ON COLUMN hoaxwatch.content.platform IS 'Platform: x, instagram, bluesky, ...';
COMMENT ON COLUMN hoaxwatch.content.root_id IS 'Id of the original post, or text:HASH where the source gives no id.';
COMMENT ON COLUMN hoaxwatch.content.text IS 'The words; U+0000 and lone surrogates are U+FFFD.';
COMMENT ON COLUMN hoaxwatch.content.lang IS 'Language code as the platform gives it; NULL: not given.';
COMMENT ON COLUMN hoaxwatch.content.hashtags IS 'Hashtags in counting form (NFKC, casefold), sorted, each once.';
COMMENT ON COLUMN hoaxwatch.content.links IS 'Links as the source resolves them, sorted, each once.';
COMMENT ON COLUMN hoaxwatch.content.completeness IS '2 the whole text, 1 cut by the source, 0 the cut copy that a share carries.';
COMMENT ON COLUMN hoaxwatch.content.observed_at IS 'When the source was read that gave this version (UTC); -infinity: unknown.';
COMMENT ON COLUMN hoaxwatch.content.payload_hash IS 'BLAKE2b-128 of the raw record that gave this version.';
COMMENT ON COLUMN hoaxwatch.content.input_hash IS 'BLAKE2b-128 of what a text detector reads (language, text).';

CREATE TABLE hoaxwatch.content_hashtags (
    hashtag  text COLLATE "C" NOT NULL,
    platform text COLLATE "C" NOT NULL,
    root_id  text COLLATE "C" NOT NULL,
    written  text COLLATE "C" NOT NULL,
    PRIMARY KEY (hashtag, platform, root_id)
);
CREATE INDEX content_hashtags_by_content ON hoaxwatch.content_hashtags (platform, root_id);
COMMENT ON TABLE hoaxwatch.content_hashtags IS 'Full link table content - hashtag, each pair once.';
COMMENT ON COLUMN hoaxwatch.content_hashtags.hashtag IS 'Counting form: NFKC, casefold, without the sign.';
COMMENT ON COLUMN hoaxwatch.content_hashtags.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.content_hashtags.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.content_hashtags.written IS 'As written in this content, without the sign.';

CREATE TABLE hoaxwatch.content_links (
    link     text COLLATE "C" NOT NULL,
    platform text COLLATE "C" NOT NULL,
    root_id  text COLLATE "C" NOT NULL
);
-- no unique key over the link itself: an index entry may not be longer than 2,704 bytes, a link may
CREATE INDEX content_links_by_content ON hoaxwatch.content_links (platform, root_id);
COMMENT ON TABLE hoaxwatch.content_links IS 'Full link table content - link, each pair once.';
COMMENT ON COLUMN hoaxwatch.content_links.link IS 'The link as the source resolves it.';
COMMENT ON COLUMN hoaxwatch.content_links.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.content_links.root_id IS 'The content.';

CREATE TABLE hoaxwatch.media (
    platform text COLLATE "C" NOT NULL,
    root_id  text COLLATE "C" NOT NULL,
    url      text COLLATE "C" NOT NULL,
    kind     text NOT NULL,
    alt_text text
);
CREATE INDEX media_by_content ON hoaxwatch.media (platform, root_id);
COMMENT ON TABLE hoaxwatch.media IS 'Pictures and videos of a content: where the platform says they are.';
COMMENT ON COLUMN hoaxwatch.media.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.media.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.media.url IS 'Address of the picture or video.';
COMMENT ON COLUMN hoaxwatch.media.kind IS 'image, video or gif.';
COMMENT ON COLUMN hoaxwatch.media.alt_text IS 'Description by the author; NULL: none given.';

CREATE TABLE hoaxwatch.posts (
    platform     text COLLATE "C" NOT NULL,
    post_id      text COLLATE "C" NOT NULL,
    posted_at    timestamptz NOT NULL,
    author_id    text COLLATE "C",
    root_id      text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL CHECK (kind IN ('original', 'share', 'reply', 'quote')),
    share_of     text COLLATE "C",
    reply_to     text COLLATE "C",
    quote_of     text COLLATE "C",
    seen_as      text COLLATE "C" NOT NULL CHECK (seen_as IN ('collected', 'embedded')),
    likes        hoaxwatch.observed_count,
    shares       hoaxwatch.observed_count,
    replies      hoaxwatch.observed_count,
    quotes       hoaxwatch.observed_count,
    views        hoaxwatch.observed_count,
    completeness smallint NOT NULL,
    observed_at  timestamptz NOT NULL,
    payload_hash bytea NOT NULL,
    provenance   text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (platform, post_id)
);
CREATE INDEX posts_by_content ON hoaxwatch.posts (platform, root_id);
CREATE INDEX posts_by_author ON hoaxwatch.posts (platform, author_id);
CREATE INDEX posts_by_time ON hoaxwatch.posts USING brin (posted_at);
COMMENT ON TABLE hoaxwatch.posts IS 'Who published what and when: originals, shares, replies, quotes. Met again, a post is merged, never added.';
COMMENT ON COLUMN hoaxwatch.posts.platform IS 'Platform: x, instagram, bluesky, ...';
COMMENT ON COLUMN hoaxwatch.posts.post_id IS 'Id on the platform (first id of an edited post).';
COMMENT ON COLUMN hoaxwatch.posts.posted_at IS 'When it was published (UTC): decides the bucket.';
COMMENT ON COLUMN hoaxwatch.posts.author_id IS 'Who published it; NULL: the source does not say.';
COMMENT ON COLUMN hoaxwatch.posts.root_id IS 'The content: own id, or for a share the id of the original.';
COMMENT ON COLUMN hoaxwatch.posts.kind IS 'original, share, reply or quote.';
COMMENT ON COLUMN hoaxwatch.posts.share_of IS 'The post that is shared; NULL: not a share.';
COMMENT ON COLUMN hoaxwatch.posts.reply_to IS 'The post that is answered; NULL: not a reply.';
COMMENT ON COLUMN hoaxwatch.posts.quote_of IS 'The post that is quoted; NULL: not a quote.';
COMMENT ON COLUMN hoaxwatch.posts.seen_as IS 'collected: matched the query; embedded: came inside another post.';
COMMENT ON COLUMN hoaxwatch.posts.likes IS 'Likes when last seen (count, with the time); NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.posts.shares IS 'Shares as the platform reports them, when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.posts.replies IS 'Replies when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.posts.quotes IS 'Quotes when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.posts.views IS 'Views when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.posts.completeness IS 'As in content, of the version that stands.';
COMMENT ON COLUMN hoaxwatch.posts.observed_at IS 'When the version that stands was collected (UTC); -infinity: unknown.';
COMMENT ON COLUMN hoaxwatch.posts.payload_hash IS 'BLAKE2b-128 of the raw record of the version that stands.';
COMMENT ON COLUMN hoaxwatch.posts.provenance IS 'format:file or source:query of every place it was found in, sorted.';

CREATE TABLE hoaxwatch.authors (
    platform   text COLLATE "C" NOT NULL,
    author_id  text COLLATE "C" NOT NULL,
    handle     hoaxwatch.observed_text,
    name       hoaxwatch.observed_text,
    followers  hoaxwatch.observed_count,
    following  hoaxwatch.observed_count,
    n_posts    hoaxwatch.observed_count,
    verified   hoaxwatch.observed_count,
    created_at timestamptz,
    PRIMARY KEY (platform, author_id)
);
COMMENT ON TABLE hoaxwatch.authors IS 'Accounts as last seen; each value with the time it was seen.';
COMMENT ON COLUMN hoaxwatch.authors.platform IS 'Platform of the account.';
COMMENT ON COLUMN hoaxwatch.authors.author_id IS 'Id on the platform; handles change, ids do not.';
COMMENT ON COLUMN hoaxwatch.authors.handle IS 'Handle when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.authors.name IS 'Displayed name when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.authors.followers IS 'Followers when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.authors.following IS 'Accounts it follows, when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.authors.n_posts IS 'Posts of the account when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.authors.verified IS '1 verified, 0 not, when last seen; NULL: unknown.';
COMMENT ON COLUMN hoaxwatch.authors.created_at IS 'When the account was made (UTC); NULL: unknown.';

CREATE TABLE hoaxwatch.payloads (
    platform     text COLLATE "C" NOT NULL,
    post_id      text COLLATE "C" NOT NULL,
    payload_hash bytea NOT NULL,
    received_at  timestamptz NOT NULL,
    raw          bytea NOT NULL,
    PRIMARY KEY (platform, post_id, payload_hash, received_at)
) PARTITION BY RANGE (received_at);
CREATE TABLE hoaxwatch.payloads_default PARTITION OF hoaxwatch.payloads DEFAULT;
COMMENT ON TABLE hoaxwatch.payloads IS 'Raw records as received, each distinct one once; partitioned by month of receipt, dropped by retention.';
COMMENT ON COLUMN hoaxwatch.payloads.platform IS 'Platform of the post.';
COMMENT ON COLUMN hoaxwatch.payloads.post_id IS 'The post.';
COMMENT ON COLUMN hoaxwatch.payloads.payload_hash IS 'BLAKE2b-128 of the raw bytes.';
COMMENT ON COLUMN hoaxwatch.payloads.received_at IS 'Wall clock at first receipt (UTC).';
COMMENT ON COLUMN hoaxwatch.payloads.raw IS 'The record, zstd-compressed bytes.';
COMMENT ON TABLE hoaxwatch.payloads_default IS 'Payloads of months without a partition of their own.';

CREATE TABLE hoaxwatch.verdicts (
    platform   text COLLATE "C" NOT NULL,
    root_id    text COLLATE "C" NOT NULL,
    detector   text COLLATE "C" NOT NULL,
    version    text COLLATE "C" NOT NULL,
    input_hash bytea NOT NULL,
    state      text NOT NULL CHECK (state IN ('scored', 'abstained')),
    score      numeric(7, 6) CHECK (score BETWEEN 0 AND 1),
    reason     text,
    evidence   jsonb NOT NULL,
    scored_at  timestamptz NOT NULL,
    PRIMARY KEY (platform, root_id, detector, version),
    CHECK ((state = 'scored') = (score IS NOT NULL)),
    CHECK ((state = 'abstained') = (reason IS NOT NULL))
);
COMMENT ON TABLE hoaxwatch.verdicts IS 'A detector''s opinion about a content. No row, or another input_hash than the content''s: pending.';
COMMENT ON COLUMN hoaxwatch.verdicts.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.verdicts.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.verdicts.detector IS 'Name of the detector.';
COMMENT ON COLUMN hoaxwatch.verdicts.version IS 'Version of the detector: weights, preprocessing, engine.';
COMMENT ON COLUMN hoaxwatch.verdicts.input_hash IS 'The input that was judged (content.input_hash).';
COMMENT ON COLUMN hoaxwatch.verdicts.state IS 'scored or abstained.';
COMMENT ON COLUMN hoaxwatch.verdicts.score IS 'Calibrated probability of likely_false, 0 to 1; NULL: abstained.';
COMMENT ON COLUMN hoaxwatch.verdicts.reason IS 'Why it abstained; NULL: it did not.';
COMMENT ON COLUMN hoaxwatch.verdicts.evidence IS 'What weighed most: [[feature, contribution to the logit], ...].';
COMMENT ON COLUMN hoaxwatch.verdicts.scored_at IS 'Wall clock of the scoring (UTC).';

CREATE TABLE hoaxwatch.labels (
    platform    text COLLATE "C" NOT NULL,
    root_id     text COLLATE "C" NOT NULL,
    labelled_by text COLLATE "C" NOT NULL,
    label       text NOT NULL CHECK (label IN ('likely_false', 'likely_true', 'unsure')),
    note        text,
    labelled_at timestamptz NOT NULL,
    PRIMARY KEY (platform, root_id, labelled_by)
);
COMMENT ON TABLE hoaxwatch.labels IS 'What people say about a content. A label wins over every detector.';
COMMENT ON COLUMN hoaxwatch.labels.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.labels.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.labels.labelled_by IS 'Who says so.';
COMMENT ON COLUMN hoaxwatch.labels.label IS 'likely_false, likely_true or unsure.';
COMMENT ON COLUMN hoaxwatch.labels.note IS 'Why; NULL: not given.';
COMMENT ON COLUMN hoaxwatch.labels.labelled_at IS 'When it was said (UTC).';

CREATE TABLE hoaxwatch.verdict_policy (
    policy_id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    detector     text COLLATE "C" NOT NULL,
    version      text COLLATE "C" NOT NULL,
    threshold    numeric(7, 6) NOT NULL CHECK (threshold BETWEEN 0 AND 1),
    abstain_band numeric(7, 6) NOT NULL CHECK (abstain_band BETWEEN 0 AND 0.5),
    active       boolean NOT NULL,
    created_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX verdict_policy_one_active ON hoaxwatch.verdict_policy (active) WHERE active;
COMMENT ON TABLE hoaxwatch.verdict_policy IS 'Which verdict counts in trends and clusters. One row is active.';
COMMENT ON COLUMN hoaxwatch.verdict_policy.policy_id IS 'Named by every trend and cluster row.';
COMMENT ON COLUMN hoaxwatch.verdict_policy.detector IS 'Name of the detector whose verdicts count.';
COMMENT ON COLUMN hoaxwatch.verdict_policy.version IS 'Its version.';
COMMENT ON COLUMN hoaxwatch.verdict_policy.threshold IS 'Scores of at least this much are likely false (0 to 1).';
COMMENT ON COLUMN hoaxwatch.verdict_policy.abstain_band IS 'Scores closer to the threshold than this are unsure, not judged.';
COMMENT ON COLUMN hoaxwatch.verdict_policy.active IS 'True in the one row in force.';
COMMENT ON COLUMN hoaxwatch.verdict_policy.created_at IS 'Wall clock (UTC).';

CREATE TABLE hoaxwatch.dirty_buckets (
    hashtag text COLLATE "C" NOT NULL,
    hour    timestamptz NOT NULL
);
COMMENT ON TABLE hoaxwatch.dirty_buckets IS 'Buckets whose rows changed and whose counts wait to be recomputed. Append only, no key, no lock.';
COMMENT ON COLUMN hoaxwatch.dirty_buckets.hashtag IS 'Counting form of the hashtag.';
COMMENT ON COLUMN hoaxwatch.dirty_buckets.hour IS 'Start of the hour (UTC).';

CREATE TABLE hoaxwatch.hashtag_trends (
    hashtag       text COLLATE "C" NOT NULL,
    grain         text COLLATE "C" NOT NULL CHECK (grain IN ('hour', 'day')),
    bucket_start  timestamptz NOT NULL,
    posts         bigint NOT NULL,
    originals     bigint NOT NULL,
    shares        bigint NOT NULL,
    authors       bigint NOT NULL,
    judged        bigint NOT NULL,
    likely_false  bigint NOT NULL,
    expected_share numeric,
    expected_low  numeric,
    expected_high numeric,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    policy_id     integer NOT NULL,
    PRIMARY KEY (hashtag, grain, bucket_start)
);
CREATE INDEX hashtag_trends_by_time ON hoaxwatch.hashtag_trends (grain, bucket_start, posts DESC);
COMMENT ON TABLE hoaxwatch.hashtag_trends IS 'How often a hashtag was used, by hour and by day of event time. A share carries the hashtags of its original. Buckets without a post have no row.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.hashtag IS 'Counting form: NFKC, casefold, without the sign.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.grain IS 'hour or day.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.bucket_start IS 'Start of the hour or day (UTC).';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.posts IS 'Posts of every kind; posts = originals + shares.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.originals IS 'Posts that are not shares (replies and quotes included).';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.shares IS 'Shares that were collected (not what the platform reports).';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.authors IS 'Distinct known accounts.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.judged IS 'Posts whose content has a verdict that counts: the denominator.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.likely_false IS 'Judged posts at or above the threshold.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.expected_share IS 'Mean calibrated probability of likely_false over judged posts (0 to 1); NULL: none judged.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.expected_low IS 'Lower end of its 95 % interval, each content one draw.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.expected_high IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.first_seen_at IS 'First post of the bucket (UTC).';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.last_seen_at IS 'Last post of the bucket (UTC).';
COMMENT ON COLUMN hoaxwatch.hashtag_trends.policy_id IS 'verdict_policy in force when it was computed.';

CREATE TABLE hoaxwatch.hashtag_pairs (
    hashtag_a text COLLATE "C" NOT NULL,
    hashtag_b text COLLATE "C" NOT NULL,
    day       timestamptz NOT NULL,
    posts     bigint NOT NULL,
    originals bigint NOT NULL,
    PRIMARY KEY (hashtag_a, hashtag_b, day),
    CHECK (hashtag_a < hashtag_b)
);
CREATE INDEX hashtag_pairs_by_b ON hoaxwatch.hashtag_pairs (hashtag_b, day);
COMMENT ON TABLE hoaxwatch.hashtag_pairs IS 'Which hashtags stand in the same post, by day.';
COMMENT ON COLUMN hoaxwatch.hashtag_pairs.hashtag_a IS 'The first of the two in C order.';
COMMENT ON COLUMN hoaxwatch.hashtag_pairs.hashtag_b IS 'The second.';
COMMENT ON COLUMN hoaxwatch.hashtag_pairs.day IS 'Start of the day (UTC).';
COMMENT ON COLUMN hoaxwatch.hashtag_pairs.posts IS 'Posts that carry both, shares included.';
COMMENT ON COLUMN hoaxwatch.hashtag_pairs.originals IS 'Posts that carry both and are not shares.';

CREATE TABLE hoaxwatch.networks (
    hashtag           text COLLATE "C" NOT NULL,
    window_start      timestamptz NOT NULL,
    window_end        timestamptz NOT NULL,
    n_users           integer NOT NULL,
    n_links           integer NOT NULL,
    n_shares          bigint NOT NULL,
    n_self_shares     bigint NOT NULL,
    n_unknown_authors bigint NOT NULL,
    first_at          timestamptz NOT NULL,
    last_at           timestamptz NOT NULL,
    PRIMARY KEY (hashtag, window_start, window_end)
);
COMMENT ON TABLE hoaxwatch.networks IS 'The user retweet network of a hashtag in a window of event time.';
COMMENT ON COLUMN hoaxwatch.networks.hashtag IS 'Counting form of the hashtag.';
COMMENT ON COLUMN hoaxwatch.networks.window_start IS 'Start of the window (UTC, included).';
COMMENT ON COLUMN hoaxwatch.networks.window_end IS 'End of the window (UTC, excluded).';
COMMENT ON COLUMN hoaxwatch.networks.n_users IS 'Accounts that shared or were shared (nodes).';
COMMENT ON COLUMN hoaxwatch.networks.n_links IS 'Pairs of accounts with at least one share (links, directed).';
COMMENT ON COLUMN hoaxwatch.networks.n_shares IS 'Shares of which both accounts are known and differ: the sum of link weights.';
COMMENT ON COLUMN hoaxwatch.networks.n_self_shares IS 'Shares of an own post: counted here, no link.';
COMMENT ON COLUMN hoaxwatch.networks.n_unknown_authors IS 'Shares whose sharer or shared account is unknown: counted here, no link.';
COMMENT ON COLUMN hoaxwatch.networks.first_at IS 'First share of the window (UTC).';
COMMENT ON COLUMN hoaxwatch.networks.last_at IS 'Last share of the window (UTC).';

CREATE TABLE hoaxwatch.clusterings (
    clustering_id   bigint PRIMARY KEY,
    hashtag         text COLLATE "C" NOT NULL,
    window_start    timestamptz NOT NULL,
    window_end      timestamptz NOT NULL,
    algorithm       text COLLATE "C" NOT NULL,
    params_hash     text COLLATE "C" NOT NULL,
    params          jsonb NOT NULL,
    seed            bigint NOT NULL,
    package_version text NOT NULL,
    quality_name    text NOT NULL,
    quality         numeric NOT NULL,
    n_clusters      integer NOT NULL,
    policy_id       integer NOT NULL,
    UNIQUE (hashtag, window_start, window_end, algorithm, params_hash)
);
COMMENT ON TABLE hoaxwatch.clusterings IS 'How a network was clustered, and how well.';
COMMENT ON COLUMN hoaxwatch.clusterings.clustering_id IS 'Hash of hashtag, window, algorithm and params_hash: the same in every database.';
COMMENT ON COLUMN hoaxwatch.clusterings.hashtag IS 'Counting form of the hashtag.';
COMMENT ON COLUMN hoaxwatch.clusterings.window_start IS 'Start of the window (UTC, included).';
COMMENT ON COLUMN hoaxwatch.clusterings.window_end IS 'End of the window (UTC, excluded).';
COMMENT ON COLUMN hoaxwatch.clusterings.algorithm IS 'louvain or infomap.';
COMMENT ON COLUMN hoaxwatch.clusterings.params_hash IS 'Hash of algorithm, parameters, seed and package version.';
COMMENT ON COLUMN hoaxwatch.clusterings.params IS 'Parameters of the algorithm.';
COMMENT ON COLUMN hoaxwatch.clusterings.seed IS 'Seed of its random numbers.';
COMMENT ON COLUMN hoaxwatch.clusterings.package_version IS 'Version of the package that computed it.';
COMMENT ON COLUMN hoaxwatch.clusterings.quality_name IS 'modularity (greater is better) or codelength (bits per step, smaller is better).';
COMMENT ON COLUMN hoaxwatch.clusterings.quality IS 'Value of that measure.';
COMMENT ON COLUMN hoaxwatch.clusterings.n_clusters IS 'Number of clusters.';
COMMENT ON COLUMN hoaxwatch.clusterings.policy_id IS 'verdict_policy in force when its clusters were judged.';

CREATE TABLE hoaxwatch.clusters (
    clustering_id bigint NOT NULL,
    cluster       integer NOT NULL,
    n_users       integer NOT NULL,
    n_shares      bigint NOT NULL,
    judged        bigint NOT NULL,
    likely_false  bigint NOT NULL,
    expected_share numeric,
    expected_low  numeric,
    expected_high numeric,
    PRIMARY KEY (clustering_id, cluster)
);
COMMENT ON TABLE hoaxwatch.clusters IS 'Groups of accounts that share each other, numbered from 0 by size.';
COMMENT ON COLUMN hoaxwatch.clusters.clustering_id IS 'The clustering it is part of.';
COMMENT ON COLUMN hoaxwatch.clusters.cluster IS 'Number within the clustering: 0 is the largest. Not stable over time.';
COMMENT ON COLUMN hoaxwatch.clusters.n_users IS 'Accounts in it.';
COMMENT ON COLUMN hoaxwatch.clusters.n_shares IS 'Shares made by its accounts in the window.';
COMMENT ON COLUMN hoaxwatch.clusters.judged IS 'Of these shares, those whose content is judged: the denominator.';
COMMENT ON COLUMN hoaxwatch.clusters.likely_false IS 'Judged shares at or above the threshold.';
COMMENT ON COLUMN hoaxwatch.clusters.expected_share IS 'Mean calibrated probability of likely_false over judged shares (0 to 1); NULL: none judged.';
COMMENT ON COLUMN hoaxwatch.clusters.expected_low IS 'Lower end of its 95 % interval, each content one draw.';
COMMENT ON COLUMN hoaxwatch.clusters.expected_high IS 'Upper end of its 95 % interval.';

CREATE TABLE hoaxwatch.cluster_members (
    clustering_id bigint NOT NULL,
    platform      text COLLATE "C" NOT NULL,
    author_id     text COLLATE "C" NOT NULL,
    cluster       integer NOT NULL,
    times_shared  integer NOT NULL,
    shares_made   integer NOT NULL,
    PRIMARY KEY (clustering_id, platform, author_id)
);
COMMENT ON TABLE hoaxwatch.cluster_members IS 'Which account is in which cluster.';
COMMENT ON COLUMN hoaxwatch.cluster_members.clustering_id IS 'The clustering.';
COMMENT ON COLUMN hoaxwatch.cluster_members.platform IS 'Platform of the account.';
COMMENT ON COLUMN hoaxwatch.cluster_members.author_id IS 'The account.';
COMMENT ON COLUMN hoaxwatch.cluster_members.cluster IS 'Its cluster.';
COMMENT ON COLUMN hoaxwatch.cluster_members.times_shared IS 'How often its posts were shared in the window, by others.';
COMMENT ON COLUMN hoaxwatch.cluster_members.shares_made IS 'How often it shared posts of others in the window.';

CREATE TABLE hoaxwatch.tombstones (
    platform   text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('post', 'author')),
    id_hash    bytea NOT NULL,
    reason     text,
    deleted_at timestamptz,
    PRIMARY KEY (platform, kind, id_hash)
);
COMMENT ON TABLE hoaxwatch.tombstones IS 'What must not come back: posts and authors that were deleted, by keyed hash only.';
COMMENT ON COLUMN hoaxwatch.tombstones.platform IS 'Platform of the post or author.';
COMMENT ON COLUMN hoaxwatch.tombstones.kind IS 'post or author.';
COMMENT ON COLUMN hoaxwatch.tombstones.id_hash IS 'Keyed BLAKE2b-128 of the id (key: setting tombstone_key).';
COMMENT ON COLUMN hoaxwatch.tombstones.reason IS 'As the platform says; NULL: not given.';
COMMENT ON COLUMN hoaxwatch.tombstones.deleted_at IS 'When, as the platform says (UTC); NULL: not given.';

CREATE TABLE hoaxwatch.quarantine (
    source       text COLLATE "C" NOT NULL,
    position     text COLLATE "C" NOT NULL,
    payload_hash bytea NOT NULL,
    reason       text NOT NULL,
    raw          bytea NOT NULL,
    received_at  timestamptz NOT NULL,
    PRIMARY KEY (source, position, payload_hash)
);
COMMENT ON TABLE hoaxwatch.quarantine IS 'Records that could not be processed, with the reason.';
COMMENT ON COLUMN hoaxwatch.quarantine.source IS 'format:file it came from.';
COMMENT ON COLUMN hoaxwatch.quarantine.position IS 'Where in the source: line, record.';
COMMENT ON COLUMN hoaxwatch.quarantine.payload_hash IS 'BLAKE2b-128 of the raw bytes.';
COMMENT ON COLUMN hoaxwatch.quarantine.reason IS 'What is wrong with it.';
COMMENT ON COLUMN hoaxwatch.quarantine.raw IS 'The record, zstd-compressed bytes.';
COMMENT ON COLUMN hoaxwatch.quarantine.received_at IS 'Wall clock at first receipt (UTC).';

CREATE TABLE hoaxwatch.runs (
    run_id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    manifest    jsonb NOT NULL
);
COMMENT ON TABLE hoaxwatch.runs IS 'Every run: what was read, with which code, models and settings, and what came out.';
COMMENT ON COLUMN hoaxwatch.runs.run_id IS 'Number of the run.';
COMMENT ON COLUMN hoaxwatch.runs.started_at IS 'Wall clock (UTC).';
COMMENT ON COLUMN hoaxwatch.runs.finished_at IS 'Wall clock (UTC); NULL: still running, or ended early.';
COMMENT ON COLUMN hoaxwatch.runs.manifest IS 'Inputs, settings, versions, records in and outcomes out.';
