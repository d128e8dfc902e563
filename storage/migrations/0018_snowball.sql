-- Snowball: hashtags and accounts that were proposed, what people decided, accounts that are followed.

CREATE TABLE hoaxwatch.tracked_accounts (
    platform      text COLLATE "C" NOT NULL,
    account_id    text COLLATE "C" NOT NULL,
    tracked_from  timestamptz NOT NULL,
    tracked_until timestamptz,
    added_by      text NOT NULL,
    removed_by    text,
    note          text,
    PRIMARY KEY (platform, account_id, tracked_from),
    CHECK (tracked_until >= tracked_from)
);
CREATE UNIQUE INDEX tracked_accounts_now ON hoaxwatch.tracked_accounts (platform, account_id)
    WHERE tracked_until IS NULL;
COMMENT ON TABLE hoaxwatch.tracked_accounts IS 'Accounts whose posts live sources are asked for, from when to when. Nothing is overwritten; an account that is forgotten leaves it.';
COMMENT ON COLUMN hoaxwatch.tracked_accounts.platform IS 'Platform of the account.';
COMMENT ON COLUMN hoaxwatch.tracked_accounts.account_id IS 'Id on the platform.';
COMMENT ON COLUMN hoaxwatch.tracked_accounts.tracked_from IS 'From when on sources are asked for it (UTC).';
COMMENT ON COLUMN hoaxwatch.tracked_accounts.tracked_until IS 'Until when (UTC); NULL: still.';
COMMENT ON COLUMN hoaxwatch.tracked_accounts.added_by IS 'Who began it.';
COMMENT ON COLUMN hoaxwatch.tracked_accounts.removed_by IS 'Who ended it; NULL: nobody.';
COMMENT ON COLUMN hoaxwatch.tracked_accounts.note IS 'Why, in the words of who began it; NULL: not said.';

CREATE TABLE hoaxwatch.snowball_decisions (
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('hashtag', 'account')),
    name       text COLLATE "C" NOT NULL,
    decided_at timestamptz NOT NULL,
    decision   text COLLATE "C" NOT NULL CHECK (decision IN ('accepted', 'rejected')),
    decided_by text NOT NULL,
    note       text,
    evidence   jsonb NOT NULL,
    PRIMARY KEY (kind, name, decided_at)
);
COMMENT ON TABLE hoaxwatch.snowball_decisions IS 'What people decided about proposed hashtags and accounts, with the evidence of that moment. The latest decision stands; what was decided is not proposed again.';
COMMENT ON COLUMN hoaxwatch.snowball_decisions.kind IS 'hashtag or account.';
COMMENT ON COLUMN hoaxwatch.snowball_decisions.name IS 'Counting form of the hashtag, or platform:id of the account.';
COMMENT ON COLUMN hoaxwatch.snowball_decisions.decided_at IS 'When (UTC).';
COMMENT ON COLUMN hoaxwatch.snowball_decisions.decision IS 'accepted or rejected.';
COMMENT ON COLUMN hoaxwatch.snowball_decisions.decided_by IS 'Who.';
COMMENT ON COLUMN hoaxwatch.snowball_decisions.note IS 'Why; NULL: not said.';
COMMENT ON COLUMN hoaxwatch.snowball_decisions.evidence IS 'What it was proposed with then: posts, flagged, accounts, followers; {}: it was not proposed.';
