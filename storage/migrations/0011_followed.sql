-- Words and links that are followed like hashtags.

CREATE TABLE hoaxwatch.followed (
    topic       text COLLATE "C" PRIMARY KEY,
    followed_at timestamptz NOT NULL,
    CHECK (topic ~ '^(word|link):.')
);
COMMENT ON TABLE hoaxwatch.followed IS 'Words and links that are followed like hashtags: contents that have them are in content_hashtags under this key, and so in every table of hashtags.';
COMMENT ON COLUMN hoaxwatch.followed.topic IS 'word: with all words that a text must have, or link: with a page or a site.';
COMMENT ON COLUMN hoaxwatch.followed.followed_at IS 'Since when it is followed (wall clock, UTC). Posts that were stored before have it too.';

CREATE VIEW mart.followed AS SELECT topic, followed_at FROM hoaxwatch.followed;
COMMENT ON VIEW mart.followed IS 'Words and links that are followed like hashtags.';
COMMENT ON COLUMN mart.followed.topic IS 'word: with all words that a text must have, or link: with a page or a site.';
COMMENT ON COLUMN mart.followed.followed_at IS 'Since when it is followed (wall clock, UTC). Posts that were stored before have it too.';

COMMENT ON TABLE hoaxwatch.content_hashtags IS 'Full link table content - hashtag, and content - followed word or link; each pair once.';
COMMENT ON COLUMN hoaxwatch.content_hashtags.hashtag IS 'Counting form: NFKC, casefold, without the sign; or a followed topic, as word:impfung or link:example.org.';
COMMENT ON COLUMN hoaxwatch.content_hashtags.written IS 'As written in this content, without the sign; of a followed topic its key.';
