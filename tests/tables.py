"""What a database holds, as plain values: the oracle of every test about exactness.

DESIGN, rule 10: the same input gives the same tables, all tables but `runs`, all columns but
wall-clock stamps.
"""

from __future__ import annotations

from typing import Any

from storage.database import connect

#: Tables and columns that say when something was done here, not what was posted.
NOT_COMPARED = {
    *("runs", "migrations"),
    # how records came, and who is at work
    *("stream_positions", "stream_outcomes", "offsets_in_work", "track_owner"),
    # when live sources were asked
    *("collections", "source_cursors", "source_kept"),
    # what was believed, at which end of a day of ours
    *("snapshots", "trend_snapshots"),
    # when room was made
    *("retention", "payload_drops"),
    # a random number
    "pseudonym_key",
    # what was sent
    *("alert_deliveries", "alert_digests"),
}
#: Numbers that are given in order of arrival.
ARRIVAL = {("alerts", "alert_id")}
WALL_CLOCK = {
    *(
        "received_at",
        "scored_at",
        "created_at",
        "labelled_at",
        "followed_at",
        "reported_at",
        "fetched_at",
    ),
    # of claims, in which transaction each was loaded
    *("loaded_at", "replaced_at", "withdrawn_at", "load_number"),
}


def read_tables(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every compared table with its rows, sorted."""
    tables: dict[str, list[tuple[Any, ...]]] = {}
    with connect(dsn) as connection:
        columns = connection.execute(
            "SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE c.relnamespace = 'hoaxwatch'::regnamespace AND c.relkind IN ('r', 'p')"
            " AND NOT c.relispartition GROUP BY c.relname"
        ).fetchall()
        for table, names in columns:
            if table in NOT_COMPARED:
                continue
            # an account's created_at is a fact about the account
            kept = [n for n in names if n not in WALL_CLOCK or (table, n) == ("authors", n)]
            kept = [n for n in kept if (table, n) not in ARRIVAL]
            shown = ", ".join(f'"{name}"::text' for name in kept)
            rows = connection.execute(f"SELECT {shown} FROM hoaxwatch.{table}").fetchall()
            tables[table] = sorted(rows, key=lambda row: tuple(map(str, row)))
    return tables


def table_names(dsn: str) -> set[str]:
    """The compared tables."""
    with connect(dsn) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'hoaxwatch'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        return {row[0] for row in found} - NOT_COMPARED


def assert_same(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> None:
    """Equal tables; says in which table the first difference is."""
    assert found.keys() == expected.keys()
    for table, rows in expected.items():
        assert len(found[table]) == len(rows), f"{table}: {len(found[table])} rows, not {len(rows)}"
        for ours, theirs in zip(found[table], rows, strict=True):
            assert ours == theirs, f"{table} differs: {ours} is not {theirs}"
