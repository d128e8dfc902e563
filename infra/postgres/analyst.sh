#!/bin/sh
# Run once by the image of PostgreSQL, when its data folder is new: a login for Grafana and analysts.
# What it may read is granted by `hoaxwatch db grant analyst`, when the tables are there.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$ANALYST_PASSWORD" --username "$POSTGRES_USER" \
    --dbname "$POSTGRES_DB" <<'EOF'
CREATE ROLE analyst LOGIN PASSWORD :'password';
EOF
