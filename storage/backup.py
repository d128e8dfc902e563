"""A whole project as one file, and back: to keep it, to hand it on, to move it to another server.

The file is a zip: `manifest.json` and, per table, what COPY gives, zstd-compressed. It goes from
any PostgreSQL to any other that hoaxwatch runs on (pg_dump's own files do not go to an older
server) and from an older hoaxwatch to a newer one. Read in one snapshot, restored in one
transaction.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import zstandard
from psycopg import sql

from storage.database import (
    RECORDED_TABLES,
    RECOUNTED_TABLES,
    Connection,
    add_payload_partitions,
    add_statistics,
    read_migrations,
)
from storage.reads import one_snapshot
from storage.writes import id_hash
from streams.errors import UsageError

FORMAT = 1
_PIECE_BYTES = 1 << 20

_TABLES = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 AND a.attgenerated = ''
WHERE c.relnamespace = 'hoaxwatch'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition AND c.relname <> 'migrations'
  -- where workers stand on brokers that the other database does not have
  AND c.relname NOT IN ('stream_positions', 'stream_outcomes', 'offsets_in_work', 'track_owner')
GROUP BY c.relname ORDER BY c.relname
"""

#: Tables that have rows as soon as a database is migrated; those of the dump take their place.
_FILLED = ("pseudonym_key",)

#: Migrations that have windows counted again. The database had them while it was empty, so what
#: comes from a dump without one of them is marked when it is restored.
_COUNTED_AGAIN = ("0006_lineages.sql", "0017_changes.sql")
_MARK_WINDOWS = """
INSERT INTO hoaxwatch.dirty_buckets (hashtag, hour)
SELECT DISTINCT hashtag, date_trunc('hour', first_at) FROM hoaxwatch.networks
"""

#: The migration that has it known which raw records are gone; what a dump without it does not say,
#: posts without their raw record do.
_KNOWS_DROPS = "0025_raw_records.sql"
_NOTE_DROPS = """
INSERT INTO hoaxwatch.payload_drops
SELECT date_trunc('month', coalesce(min(received_at), now()), 'UTC') FROM hoaxwatch.payloads
HAVING EXISTS (
    SELECT FROM hoaxwatch.posts p WHERE NOT EXISTS (
        SELECT FROM hoaxwatch.payloads y WHERE y.platform = p.platform
        AND y.post_id = p.post_id AND y.payload_hash = p.payload_hash))
"""

_IDENTITIES = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'hoaxwatch' AND is_identity = 'YES'
"""


def dump(
    connection: Connection,
    path: Path,
    project: str,
    tombstone_key: str,
    watch: Callable[[int], None] = lambda n_rows: None,
) -> dict[str, int]:
    """Writes every table to `path`; returns table -> rows. A file of that name is replaced when the
    new one is complete. `watch` is told how many rows were written.

    Raises OSError. Memory: one piece of a table.
    """
    counts: dict[str, int] = {}
    partial = path.with_name(f"{path.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive, one_snapshot(connection):
            tables: dict[str, list[str]] = dict(connection.execute(_TABLES).fetchall())
            months = connection.execute(
                "SELECT DISTINCT to_char(received_at, 'YYYY-MM-01') FROM hoaxwatch.payloads"
            ).fetchall()
            for table, columns in tables.items():
                counts[table] = _write_table(connection, archive, table, columns)
                watch(sum(counts.values()))
            manifest = {
                "format": FORMAT,
                "project": project,
                "hoaxwatch": version("hoaxwatch"),
                "written_at": datetime.now(UTC).isoformat(),
                "migrations": [
                    name
                    for (name,) in connection.execute(
                        "SELECT name FROM hoaxwatch.migrations ORDER BY name"
                    )
                ],
                "payload_months": sorted(month for (month,) in months),
                "tombstone_key": _key_mark(tombstone_key),
                "columns": tables,
                "rows": counts,
            }
            archive.writestr("manifest.json", json.dumps(manifest, indent=1))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return counts


def _write_table(
    connection: Connection, archive: zipfile.ZipFile, table: str, columns: list[str]
) -> int:
    query = sql.SQL("COPY (SELECT {} FROM hoaxwatch.{}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
    )
    with (
        archive.open(_member(table), "w", force_zip64=True) as member,
        zstandard.ZstdCompressor(level=3).stream_writer(member, closefd=False) as packed,
        connection.cursor() as cursor,
    ):
        with cursor.copy(query) as copy:
            for block in copy:
                packed.write(block)
        return cursor.rowcount


def read_manifest(path: Path) -> dict[str, Any]:
    """What a dump says of itself. Raises UsageError if the file is none, or of a newer version."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; give the file that db dump wrote") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise UsageError(
            f"{path} is no dump of hoaxwatch, or it was cut off; dump again with db dump"
        ) from None
    unknown = set(manifest["migrations"]) - {migration.name for migration in read_migrations()}
    if manifest["format"] > FORMAT or unknown:
        raise UsageError(
            f"{path} was written by hoaxwatch {manifest['hoaxwatch']}, which is newer; upgrade"
        )
    return manifest


def restore(
    connection: Connection,
    path: Path,
    tombstone_key: str,
    watch: Callable[[int], None] = lambda n_rows: None,
) -> dict[str, Any]:
    """Fills a migrated and empty database from a dump, in one transaction; returns its manifest.

    Raises UsageError if the database holds something, if the dump cannot be used, or if its
    tombstones were made with another key: then deleted posts could come back.
    """
    manifest = read_manifest(path)
    filled = _filled_table(connection)
    if filled is not None:
        raise UsageError(
            f"the database already holds something (in table {filled}); "
            "restore into an empty one: --project NEW"
        )
    if manifest["rows"]["tombstones"] and manifest["tombstone_key"] != _key_mark(tombstone_key):
        raise UsageError(
            "the dump remembers deletions under another tombstone_key; set "
            "HOAXWATCH_TOMBSTONE_KEY to the one it was made with, or deleted posts could come back"
        )
    n_rows = 0
    try:
        with zipfile.ZipFile(path) as archive, connection.transaction():
            for month in manifest["payload_months"]:
                add_payload_partitions(connection, datetime.fromisoformat(month))
            for table, columns in manifest["columns"].items():
                if table in _FILLED:
                    connection.execute(
                        sql.SQL("DELETE FROM hoaxwatch.{}").format(sql.Identifier(table))
                    )
                _read_table(connection, archive, table, columns)
                n_rows += manifest["rows"][table]
                watch(n_rows)
            if any(name not in manifest["migrations"] for name in _COUNTED_AGAIN):
                connection.execute(_MARK_WINDOWS)
            if _KNOWS_DROPS not in manifest["migrations"]:
                connection.execute(_NOTE_DROPS)
            for table, column in connection.execute(_IDENTITIES).fetchall():
                _continue_identity(connection, table, column)
    except (zipfile.BadZipFile, zstandard.ZstdError, EOFError, psycopg.DataError) as error:
        raise UsageError(
            f"{path} is damaged ({' '.join(str(error).split())}); nothing was restored: "
            "get the file again"
        ) from None
    except psycopg.IntegrityError as error:
        raise UsageError(
            f"{path} does not fit into the database ({' '.join(str(error).split())}); nothing was "
            "restored: get the file again, and let nobody else write meanwhile"
        ) from None
    add_statistics(connection, (*RECORDED_TABLES, *RECOUNTED_TABLES))
    return manifest


def _read_table(
    connection: Connection, archive: zipfile.ZipFile, table: str, columns: list[str]
) -> None:
    query = sql.SQL("COPY hoaxwatch.{} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with (
        archive.open(_member(table)) as member,
        zstandard.ZstdDecompressor().stream_reader(member) as unpacked,
        connection.cursor() as cursor,
        cursor.copy(query) as copy,
    ):
        while piece := unpacked.read(_PIECE_BYTES):
            copy.write(piece)


def _filled_table(connection: Connection) -> str | None:
    """One of the tables that a dump fills, which has rows already."""
    for table, _ in connection.execute(_TABLES).fetchall():
        query = sql.SQL("SELECT EXISTS (SELECT FROM hoaxwatch.{})").format(sql.Identifier(table))
        if table not in _FILLED and connection.execute(query).fetchone() == (True,):
            return str(table)
    return None


def _continue_identity(connection: Connection, table: str, column: str) -> None:
    connection.execute(
        sql.SQL(
            "SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM hoaxwatch.{}"
            " HAVING max({}) IS NOT NULL"
        ).format(
            sql.Literal(f"hoaxwatch.{table}"),
            sql.Literal(column),
            sql.Identifier(column),
            sql.Identifier(table),
            sql.Identifier(column),
        )
    )


def _member(table: str) -> str:
    return f"tables/{table}.copy.zst"


def _key_mark(tombstone_key: str) -> str:
    """Tells whether two keys are the same, and not what they are."""
    return id_hash(tombstone_key, "key", "", "").hex()
