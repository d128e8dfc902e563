"""Connections, migrations and partitions: where the database is and what shape it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from storage import embedded
from streams.errors import Unavailable, UsageError
from streams.settings import Settings

#: What the other folders call a connection: psycopg is imported in storage only.
Connection = psycopg.Connection
Cursor = psycopg.Cursor[Any]

#: A lock number of our own, so that migrations of two processes come one after the other.
MIGRATION_LOCK = 0x686F6178

#: Of every connection. Sorts and the staged rows of a batch stay in memory; compiling a query costs
#: more than it saves.
OPTIONS = "-c TimeZone=UTC -c jit=off -c work_mem=32MB -c temp_buffers=32MB"

_RUNNER_TABLE = """
CREATE SCHEMA IF NOT EXISTS hoaxwatch;
COMMENT ON SCHEMA hoaxwatch IS 'Tables that hoaxwatch writes. Analysts read schema mart.';
CREATE TABLE IF NOT EXISTS hoaxwatch.migrations (
    name       text PRIMARY KEY,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL
);
COMMENT ON TABLE hoaxwatch.migrations IS 'Which migrations this database has had.';
COMMENT ON COLUMN hoaxwatch.migrations.name IS 'File name of the migration.';
COMMENT ON COLUMN hoaxwatch.migrations.sha256 IS 'Hash of the file as it was applied.';
COMMENT ON COLUMN hoaxwatch.migrations.applied_at IS 'Wall clock (UTC).';
"""


class MigrationError(UsageError):
    """The database is of another version than this program."""


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash by which an edited migration is found out."""
        return sha256(self.sql.encode()).hexdigest()


def read_migrations() -> list[Migration]:
    """The shipped migrations in order."""
    folder = files("storage") / "migrations"
    found = [Migration(f.name, f.read_text("utf-8")) for f in folder.iterdir()]
    return sorted((m for m in found if m.name.endswith(".sql")), key=lambda m: m.name)


def shown_dsn(dsn: str) -> str:
    """A DSN as it may be shown: without its password.

    >>> shown_dsn("postgresql://ann:secret@db.example:5433/study")
    'study on db.example:5433 as ann'
    """
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "the given DSN"
    host = parts.get("host") or "localhost"
    port = f":{parts['port']}" if parts.get("port") else ""
    user = f" as {parts['user']}" if parts.get("user") else ""
    return f"{parts.get('dbname') or parts.get('user') or 'postgres'} on {host}{port}{user}"


def without_password(dsn: str) -> tuple[str, str | None]:
    """A DSN as others may see it, among the processes of this machine, and its password.

    >>> without_password("postgresql://ann:secret@db.example/study")
    ('user=ann dbname=study host=db.example', 'secret')
    """
    parts = conninfo_to_dict(dsn)
    password = parts.pop("password", None)
    return make_conninfo("", **parts), None if password is None else str(password)


def connect(dsn: str, *, role: str = "hoaxwatch", timeout_seconds: int = 0) -> psycopg.Connection:
    """A connection in autocommit mode with TimeZone=UTC; transactions are explicit.

    timeout_seconds: of each statement; 0: none.
    Raises UsageError for a DSN that cannot be read or a login that is refused, Unavailable when no
    server answers.
    """
    try:
        options = f"{OPTIONS} -c statement_timeout={timeout_seconds}s"
        full = make_conninfo(dsn, application_name=role, connect_timeout=10, options=options)
    except psycopg.ProgrammingError as error:
        raise UsageError(
            f"--database is not a PostgreSQL address ({str(error).strip()}); "
            "it looks like postgresql://user:password@host:5432/name"
        ) from None
    try:
        return psycopg.connect(full, autocommit=True)
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        where = shown_dsn(dsn)
        wrong_login = ("does not exist", "authentication failed", "no password", "no pg_hba.conf")
        if any(words in reason for words in wrong_login):
            raise UsageError(f"database {where} refuses: {reason}; check --database") from None
        raise Unavailable(
            f"database {where} does not answer: {reason}; start it or check --database"
        ) from None


def connect_again(connection: psycopg.Connection) -> psycopg.Connection:
    """Another connection to the same database as the same user: to read beside what writes."""
    parts: dict[str, Any] = connection.info.get_parameters()
    return psycopg.connect(**parts, password=connection.info.password, autocommit=True)


@contextmanager
def database_errors(dsn: str) -> Iterator[None]:
    """Turns a lost server and a full disk into Unavailable with one line that says what to do."""
    where = shown_dsn(dsn)
    again = "nothing stored is lost: run the same command again"
    try:
        yield
    except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory) as error:
        first = str(error).splitlines()[0]
        raise Unavailable(
            f"database {where} has no space left ({first}); free some; {again}"
        ) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise UsageError(f"database {where} is read-only; give one that can be written") from error
    except psycopg.errors.InsufficientPrivilege as error:
        first = str(error).splitlines()[0]
        raise UsageError(
            f"database {where}: {first}; give a user that owns the database"
        ) from error
    except (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout) as error:
        if isinstance(error, psycopg.errors.ProgramLimitExceeded):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unavailable(f"database {where} went away ({first}); {again}") from error


def limit_waits(connection: psycopg.Connection, idle_seconds: int) -> None:
    """Has the server end this session if its client falls silent in the middle of a transaction.

    Others wait for the locks of such a one. A client that was only asleep finds its connection
    gone and its transaction undone, and begins again.
    """
    connection.execute(f"SET idle_in_transaction_session_timeout = '{idle_seconds}s'")
    connection.execute("SET statement_timeout = '600s'")


def migrate(connection: psycopg.Connection) -> list[str]:
    """Brings the database to this program's shape; returns the names of what was applied.

    One transaction per migration, one process at a time. Who does not own the database may call it
    where nothing is left to do. Raises MigrationError if the database has migrations that this
    program does not know, or one that was edited since.
    """
    known = {m.name: m for m in read_migrations()}
    applied: list[str] = []
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        table = connection.execute("SELECT to_regclass('hoaxwatch.migrations')").fetchone()
        if table == (None,):
            connection.execute(_RUNNER_TABLE)
        rows = connection.execute("SELECT name, sha256 FROM hoaxwatch.migrations").fetchall()
        done: dict[str, str] = dict(rows)
        for name, digest in sorted(done.items()):
            if name not in known:
                raise MigrationError(
                    f"the database has migration {name}, which this hoaxwatch does not know: "
                    "it was used with a newer version; upgrade hoaxwatch"
                )
            if known[name].sha256 != digest:
                raise MigrationError(
                    f"migration {name} was changed after this database was made; "
                    "use the program it was made with, or another --project"
                )
        for migration in known.values():
            if migration.name in done:
                continue
            connection.execute(migration.sql.encode())
            connection.execute(
                "INSERT INTO hoaxwatch.migrations VALUES (%s, %s, %s)",
                (migration.name, migration.sha256, datetime.now(UTC)),
            )
            applied.append(migration.name)
    return applied


def read_applied(connection: psycopg.Connection) -> list[tuple[str, datetime]]:
    """The migrations that this database has had, in order, and when."""
    return connection.execute(
        "SELECT name, applied_at FROM hoaxwatch.migrations ORDER BY name"
    ).fetchall()


def add_payload_partitions(connection: psycopg.Connection, now: datetime) -> None:
    """Makes the payload partitions of this month and the next, if they are not there yet.

    A worker goes on over months while nobody opens the database: what it stored meanwhile lies in
    the default partition, and moves.
    """
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        for start in (first, _next_month(first)):
            name = f"payloads_{start:%Y_%m}"
            if connection.execute("SELECT to_regclass(%s)", (f"hoaxwatch.{name}",)).fetchone() != (
                None,
            ):
                continue
            since, until = f"'{start.isoformat()}'", f"'{_next_month(start).isoformat()}'"
            connection.execute(f"CREATE TABLE hoaxwatch.{name} (LIKE hoaxwatch.payloads)")
            # nobody stores between the move and the end, or the default would refuse it
            connection.execute("LOCK TABLE hoaxwatch.payloads")
            connection.execute(
                "WITH moved AS (DELETE FROM hoaxwatch.payloads_default"
                f" WHERE received_at >= {since} AND received_at < {until} RETURNING *)"
                f" INSERT INTO hoaxwatch.{name} SELECT * FROM moved"
            )
            connection.execute(
                f"ALTER TABLE hoaxwatch.payloads ATTACH PARTITION hoaxwatch.{name}"
                f" FOR VALUES FROM ({since}) TO ({until})"
            )
            connection.execute(
                f"COMMENT ON TABLE hoaxwatch.{name} IS 'Payloads received in {start:%Y-%m}.'"
            )


def _next_month(start: datetime) -> datetime:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """The DSN of the project's database, ready for use: started if embedded, migrated.

    Raises Unavailable and UsageError with what to do.
    """
    if settings.database is not None:
        dsn = given_dsn(settings)
        _bring_up_to_date(dsn)
        yield dsn
        return
    with embedded.open_embedded(embedded_folder(settings)) as server:
        dsn = server.dsn()
        _bring_up_to_date(dsn)
        yield dsn


def given_dsn(settings: Settings) -> str:
    """The DSN of a server of one's own, with the certificates it is verified by."""
    assert settings.database is not None
    dsn = settings.database.get_secret_value()
    if settings.database_ca_file is None:
        return dsn
    authority = str(settings.database_ca_file)
    return make_conninfo(dsn, sslmode="verify-full", sslrootcert=authority)


def embedded_folder(settings: Settings) -> Path:
    """Where the project's embedded database lives."""
    return embedded.usable_folder(settings.projects_folder() / settings.project)


def _bring_up_to_date(dsn: str) -> None:
    with connect(dsn) as connection, database_errors(dsn):
        migrate(connection)
        add_payload_partitions(connection, datetime.now(UTC))


#: Tables that grow with what is read, and those that are counted from them.
RECORDED_TABLES = (
    *("content", "content_hashtags", "content_links", "media"),
    *("posts", "authors", "verdicts"),
)
RECOUNTED_TABLES = (
    *("hashtag_trends", "hashtag_pairs", "dirty_buckets"),
    *("networks", "clusterings", "clusters", "cluster_members", "cluster_events"),
    *("cascade_verdicts", "combined_scores"),
    *("claims", "claim_checks", "claim_matches"),
)


def add_statistics(connection: psycopg.Connection, tables: Sequence[str]) -> None:
    """Tells the planner how large these tables are now.

    Without it, queries right after a first load are planned for empty tables (measured: minutes
    instead of milliseconds). A sample of 3,000 rows a table is enough for that; the server's own
    ANALYZE takes a greater one later.
    """
    with connection.transaction():
        connection.execute("SET LOCAL default_statistics_target = 10")
        for table in tables:
            connection.execute(f"ANALYZE hoaxwatch.{table}")
