"""Who may do what: an analyst reads the views of schema mart, and nothing else; an operator runs
every command that changes no table's shape; either may also be let see whose pseudonym is whose."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from streams.errors import UsageError

#: A query of an analyst is ended after so long, so that it never holds up the pipeline.
ANALYST_TIMEOUT_SECONDS = 60


def _of_views(schema: str) -> tuple[str, ...]:
    return (
        f"GRANT USAGE ON SCHEMA {schema} TO {{login}}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {{login}}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {{login}}",
    )


_CONNECT = "GRANT CONNECT ON DATABASE {database} TO {login}"
_ANALYST = (_CONNECT, *_of_views("mart"))
_HANDLES = (_CONNECT, *_of_views("handles"))
_ROWS = "SELECT, INSERT, UPDATE, DELETE"
_NUMBERS = "USAGE, SELECT"
_OPERATOR = (
    "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {login}",
    "GRANT USAGE ON SCHEMA hoaxwatch TO {login}",
    f"GRANT {_ROWS} ON ALL TABLES IN SCHEMA hoaxwatch TO {{login}}",
    f"GRANT {_NUMBERS} ON ALL SEQUENCES IN SCHEMA hoaxwatch TO {{login}}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA hoaxwatch GRANT {_ROWS} ON TABLES TO {{login}}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA hoaxwatch GRANT {_NUMBERS} ON SEQUENCES TO {{login}}",
    *_of_views("mart"),
    *_of_views("handles"),
)
# whatever was given, in whichever schema
_REVOKE = (
    *(
        statement.format(schema)
        for schema in ("mart", "handles", "hoaxwatch")
        for statement in (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {} REVOKE ALL ON TABLES FROM {{login}}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {} REVOKE ALL ON SEQUENCES FROM {{login}}",
            "REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM {{login}}",
            "REVOKE ALL ON ALL SEQUENCES IN SCHEMA {} FROM {{login}}",
            "REVOKE ALL ON SCHEMA {} FROM {{login}}",
        )
    ),
    "REVOKE ALL ON DATABASE {database} FROM {login}",
)
_LIMIT = (
    "ALTER ROLE {login} IN DATABASE {database} SET statement_timeout = {timeout}",
    "ALTER ROLE {login} IN DATABASE {database} SET default_transaction_read_only = on",
)
_LIFT = (
    "ALTER ROLE {login} IN DATABASE {database} RESET statement_timeout",
    "ALTER ROLE {login} IN DATABASE {database} RESET default_transaction_read_only",
)


def grant_analyst(
    connection: psycopg.Connection, login: str, timeout_seconds: int = ANALYST_TIMEOUT_SECONDS
) -> list[str]:
    """Lets a login of the server read schema mart, also views that later versions bring.

    Returns the statements that limit its queries and that only an administrator may run; none if
    we may. Raises UsageError if there is no such login, or if it may do more already.
    """
    _execute(connection, _ANALYST, login)
    return _try(connection, _statements(connection, _LIMIT, login, timeout_seconds))


def grant_operator(connection: psycopg.Connection, login: str) -> list[str]:
    """Lets a login run commands and workers, which read and write rows: it can neither change nor
    drop tables, nor grant anything, so upgrades, retention and the payload partitions of a new
    month (`db migrate`) stay with the owner.

    Returns the statements that lift the limits of an analyst and that only an administrator may
    run; none if it has no such limits or we may. Raises UsageError as `grant_analyst`.
    """
    _execute(connection, _OPERATOR, login)
    is_limited = connection.execute(
        "SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        " JOIN pg_database d ON d.oid = s.setdatabase"
        " WHERE r.rolname = %s AND d.datname = current_database()",
        (login,),
    ).fetchone()
    if is_limited is None:
        return []
    return _try(connection, _statements(connection, _LIFT, login))


def grant_handles(connection: psycopg.Connection, login: str) -> None:
    """Lets a login see which account is behind a pseudonym. Raises UsageError as
    `grant_analyst`."""
    _execute(connection, _HANDLES, login)


def revoke(connection: psycopg.Connection, login: str) -> None:
    """Takes back whatever was granted here. Raises UsageError if there is no such login."""
    _execute(connection, _REVOKE, login)


def _execute(connection: psycopg.Connection, templates: tuple[str, ...], login: str) -> None:
    _check_login(connection, login)
    with connection.transaction():
        for statement in _statements(connection, templates, login):
            connection.execute(statement)


def _try(connection: psycopg.Connection, statements: Sequence[sql.Composed]) -> list[str]:
    """Those that we may not execute, as text: all of them or none."""
    try:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return [statement.as_string(connection) for statement in statements]
    return []


def _check_login(connection: psycopg.Connection, login: str) -> None:
    row = connection.execute(
        "SELECT rolsuper OR pg_has_role(rolname, current_user, 'member') FROM pg_roles"
        " WHERE rolname = %s",
        (login,),
    ).fetchone()
    if row is None:
        made = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(login)).as_string(connection)
        raise UsageError(
            f"there is no login {login} on this server; an administrator makes it: {made}"
        )
    if row[0]:
        raise UsageError(
            f"login {login} may change everything already; give others a login of their own"
        )


def _statements(
    connection: psycopg.Connection,
    templates: tuple[str, ...],
    login: str,
    timeout_seconds: int = ANALYST_TIMEOUT_SECONDS,
) -> list[sql.Composed]:
    return [
        sql.SQL(template).format(
            login=sql.Identifier(login),
            database=sql.Identifier(connection.info.dbname),
            timeout=sql.Literal(f"{timeout_seconds}s"),
        )
        for template in templates
    ]
