-- who is behind a pseudonym of mart, in a schema of its own, so that it is granted by itself
CREATE SCHEMA handles;
COMMENT ON SCHEMA handles IS 'Who is behind the pseudonyms of schema mart. Granted by itself: hoaxwatch db grant --handles.';

CREATE VIEW handles.accounts AS
SELECT hoaxwatch.pseudonym(key, platform, author_id) AS account, platform, author_id,
       (handle).value AS handle, (name).value AS name
FROM hoaxwatch.authors CROSS JOIN hoaxwatch.pseudonym_key;
COMMENT ON VIEW handles.accounts IS 'Each account with its pseudonym. Joins mart.account_activity and others by account.';
COMMENT ON COLUMN handles.accounts.account IS 'Pseudonym of the account in schema mart.';
COMMENT ON COLUMN handles.accounts.platform IS 'Where the account is.';
COMMENT ON COLUMN handles.accounts.author_id IS 'Id on the platform; handles change, ids do not.';
COMMENT ON COLUMN handles.accounts.handle IS 'Handle when last seen; NULL: unknown.';
COMMENT ON COLUMN handles.accounts.name IS 'Name shown when last seen; NULL: unknown.';
