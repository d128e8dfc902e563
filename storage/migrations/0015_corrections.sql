-- What was wrong and is corrected: verdicts by another policy, posts flagged wrongly.

CREATE VIEW mart.policies AS
SELECT policy_id, detector, version, threshold, abstain_band, active, created_at
FROM hoaxwatch.verdict_policy;
COMMENT ON VIEW mart.policies IS 'Whose verdicts count and from which score on: what policy_id in other views names.';

-- Views repeat the comments of the columns they show.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT k.in_view, v.attname AS column_name, col_description(t.attrelid, t.attnum) AS said
        FROM (VALUES ('verdict_policy', 'policies')) AS k (from_table, in_view)
        JOIN pg_attribute t ON t.attrelid = ('hoaxwatch.' || k.from_table)::regclass AND t.attnum > 0
        JOIN pg_attribute v ON v.attrelid = ('mart.' || k.in_view)::regclass
                           AND v.attname = t.attname AND v.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN mart.%I.%I IS %L', item.in_view, item.column_name, item.said);
    END LOOP;
END $$;
