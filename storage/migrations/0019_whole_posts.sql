-- Detectors that read more of a post than its words: what else they read, and what had a voice.

ALTER TABLE hoaxwatch.verdicts ADD COLUMN read_hash bytea, ADD COLUMN parts jsonb;
COMMENT ON COLUMN hoaxwatch.verdicts.read_hash IS 'BLAKE2b-128 of all that was read beside the words: hashtags, account, counters, pictures; NULL: nothing else. Another one means that it must be judged again.';
COMMENT ON COLUMN hoaxwatch.verdicts.parts IS 'Which parts of the post had a voice (used), why each other had none (missing), and what attention weighed (attention: [[part, weight], ...]); NULL: the detector reads words alone.';

CREATE TABLE hoaxwatch.picture_words (
    platform text COLLATE "C" NOT NULL,
    root_id  text COLLATE "C" NOT NULL,
    sha256   bytea NOT NULL,
    engine   text COLLATE "C" NOT NULL,
    words    text NOT NULL,
    PRIMARY KEY (platform, root_id, sha256, engine)
);
CREATE INDEX picture_words_by_picture ON hoaxwatch.picture_words (sha256, engine);
COMMENT ON TABLE hoaxwatch.picture_words IS 'Words that OCR read in the pictures of a content: reading takes a hundred times as long as judging, so each picture is read once.';
COMMENT ON COLUMN hoaxwatch.picture_words.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.picture_words.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.picture_words.sha256 IS 'SHA-256 of the picture''s file.';
COMMENT ON COLUMN hoaxwatch.picture_words.engine IS 'OCR engine with version, models and languages.';
COMMENT ON COLUMN hoaxwatch.picture_words.words IS 'What was read; empty: no words in it, or none were likely.';
