-- Values with the time at which they were seen: no query asks how they are distributed, and to
-- sort them was most of what ANALYZE took of a load.
ALTER TABLE hoaxwatch.posts
    ALTER COLUMN likes SET STATISTICS 0, ALTER COLUMN shares SET STATISTICS 0,
    ALTER COLUMN replies SET STATISTICS 0, ALTER COLUMN quotes SET STATISTICS 0,
    ALTER COLUMN views SET STATISTICS 0;
ALTER TABLE hoaxwatch.authors
    ALTER COLUMN handle SET STATISTICS 0, ALTER COLUMN name SET STATISTICS 0,
    ALTER COLUMN followers SET STATISTICS 0, ALTER COLUMN following SET STATISTICS 0,
    ALTER COLUMN n_posts SET STATISTICS 0, ALTER COLUMN verified SET STATISTICS 0;
