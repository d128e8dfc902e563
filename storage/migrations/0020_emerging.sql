-- what the overview and the report look for: one cluster in sixty has a score
CREATE INDEX clusters_emerging ON hoaxwatch.clusters (clustering_id) WHERE emerging IS NOT NULL;
