-- Pictures that were fetched. Which pictures a content has is in hoaxwatch.media.

CREATE TABLE hoaxwatch.media_files (
    platform   text COLLATE "C" NOT NULL,
    root_id    text COLLATE "C" NOT NULL,
    url_hash   bytea NOT NULL,
    url        text COLLATE "C" NOT NULL,
    sha256     bytea,
    type       text,
    n_bytes    bigint,
    fetched_at timestamptz NOT NULL,
    error      text,
    is_passing boolean NOT NULL,
    tries      integer NOT NULL,
    PRIMARY KEY (platform, root_id, url_hash),
    CHECK ((sha256 IS NULL) = (error IS NOT NULL)),
    CHECK ((sha256 IS NULL) = (type IS NULL)),
    CHECK ((sha256 IS NULL) = (n_bytes IS NULL))
);
CREATE INDEX media_files_by_sha256 ON hoaxwatch.media_files (sha256) WHERE sha256 IS NOT NULL;
COMMENT ON TABLE hoaxwatch.media_files IS 'What came of fetching the pictures of a content. The bytes are in a folder, under their hash: ab/abcd...';
COMMENT ON COLUMN hoaxwatch.media_files.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.media_files.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.media_files.url_hash IS 'SHA-256 of the address: an address may be longer than an index entry.';
COMMENT ON COLUMN hoaxwatch.media_files.url IS 'Address that was asked.';
COMMENT ON COLUMN hoaxwatch.media_files.sha256 IS 'SHA-256 of the bytes; NULL: there are none, see error.';
COMMENT ON COLUMN hoaxwatch.media_files.type IS 'JPEG, PNG, GIF or WEBP, by the bytes; NULL: there are none.';
COMMENT ON COLUMN hoaxwatch.media_files.n_bytes IS 'Size of the file (bytes); NULL: there are none.';
COMMENT ON COLUMN hoaxwatch.media_files.fetched_at IS 'Wall clock of the last try (UTC).';
COMMENT ON COLUMN hoaxwatch.media_files.error IS 'Why there are no bytes; NULL: there are.';
COMMENT ON COLUMN hoaxwatch.media_files.is_passing IS 'It is tried again.';
COMMENT ON COLUMN hoaxwatch.media_files.tries IS 'How often it was tried.';

CREATE TABLE hoaxwatch.media_removals (
    sha256 bytea PRIMARY KEY
);
COMMENT ON TABLE hoaxwatch.media_removals IS 'Files that may have to go: those that no row of media_files names any more are removed by the next sweep. Written before a file is, so that none is left behind by a crash.';
COMMENT ON COLUMN hoaxwatch.media_removals.sha256 IS 'SHA-256 of the bytes: the name of the file.';

CREATE VIEW mart.media_files AS
SELECT platform, root_id, url, sha256, type, n_bytes, fetched_at, error FROM hoaxwatch.media_files;
COMMENT ON VIEW mart.media_files IS 'What came of fetching the pictures of posts.';
COMMENT ON COLUMN mart.media_files.platform IS 'Platform of the content.';
COMMENT ON COLUMN mart.media_files.root_id IS 'The content.';
COMMENT ON COLUMN mart.media_files.url IS 'Address that was asked.';
COMMENT ON COLUMN mart.media_files.sha256 IS 'SHA-256 of the bytes; NULL: there are none, see error.';
COMMENT ON COLUMN mart.media_files.type IS 'JPEG, PNG, GIF or WEBP, by the bytes; NULL: there are none.';
COMMENT ON COLUMN mart.media_files.n_bytes IS 'Size of the file (bytes); NULL: there are none.';
COMMENT ON COLUMN mart.media_files.fetched_at IS 'Wall clock of the last try (UTC).';
COMMENT ON COLUMN mart.media_files.error IS 'Why there are no bytes; NULL: there are.';
