"""Who may read what: an analyst reads the views of schema mart, and nothing else."""

from __future__ import annotations

import psycopg
from psycopg import sql

from streams.errors import UsageError

#: A query of an analyst is ended after so long, so that it never holds up the pipeline.
ANALYST_TIMEOUT_SECONDS = 60

_GRANT = (
    "GRANT CONNECT ON DATABASE {database} TO {login}",
    "GRANT USAGE ON SCHEMA mart TO {login}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA mart TO {login}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA mart GRANT SELECT ON TABLES TO {login}",
)
_REVOKE = (
    "ALTER DEFAULT PRIVILEGES IN SCHEMA mart REVOKE SELECT ON TABLES FROM {login}",
    "REVOKE SELECT ON ALL TABLES IN SCHEMA mart FROM {login}",
    "REVOKE USAGE ON SCHEMA mart FROM {login}",
    "REVOKE CONNECT ON DATABASE {database} FROM {login}",
)
_LIMIT = (
    "ALTER ROLE {login} IN DATABASE {database} SET statement_timeout = {timeout}",
    "ALTER ROLE {login} IN DATABASE {database} SET default_transaction_read_only = on",
)


def grant_analyst(
    connection: psycopg.Connection, login: str, timeout_seconds: int = ANALYST_TIMEOUT_SECONDS
) -> list[str]:
    """Lets a login of the server read schema mart, also views that later versions bring.

    Returns the statements that limit its queries and that only an administrator may run; none if
    we may. Raises UsageError if there is no such login, or if it may do more already.
    """
    _check_login(connection, login)
    statements = _statements(connection, _GRANT, login)
    limits = _statements(connection, _LIMIT, login, timeout_seconds)
    with connection.transaction():
        for statement in statements:
            connection.execute(statement)
    try:
        with connection.transaction():
            for statement in limits:
                connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return [statement.as_string(connection) for statement in limits]
    return []


def revoke_analyst(connection: psycopg.Connection, login: str) -> None:
    """Takes back what `grant_analyst` gave. Raises UsageError if there is no such login."""
    _check_login(connection, login)
    with connection.transaction():
        for statement in _statements(connection, _REVOKE, login):
            connection.execute(statement)


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
            f"login {login} may change everything already; give analysts a login of their own"
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
