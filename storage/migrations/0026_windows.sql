-- Which cluster windows a project has, so that other settings are seen, and what they change is
-- counted again. Nothing stands here yet: the next recount counts all windows once more.
CREATE TABLE hoaxwatch.window_plan (
    is_only      boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    length_hours integer NOT NULL,
    step_hours   integer NOT NULL
);
COMMENT ON TABLE hoaxwatch.window_plan IS 'The cluster windows of this project: one row. Windows that begin before the retention floor are as they were counted then.';
COMMENT ON COLUMN hoaxwatch.window_plan.is_only IS 'true: there is one row.';
COMMENT ON COLUMN hoaxwatch.window_plan.length_hours IS 'Length of a window (hours of event time).';
COMMENT ON COLUMN hoaxwatch.window_plan.step_hours IS 'From one window to the next (hours); windows begin at multiples of it since 1970-01-01 UTC.';

-- Accounts that split off are no growth. What is stored is counted again with the windows.
DO $$
DECLARE said text := 'Accounts of the lineage one window length earlier; of a lineage that was not there, those of its accounts that other lineages had then; NULL: not followed.';
BEGIN
    EXECUTE format('COMMENT ON COLUMN hoaxwatch.clusters.n_before IS %L', said);
    EXECUTE format('COMMENT ON COLUMN mart.clusters.n_before IS %L', said);
END $$;
