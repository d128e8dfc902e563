"""Any query of a user, in a transaction that cannot write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from storage.reads.periods import one_snapshot
from streams.errors import UsageError


def read_query(
    connection: psycopg.Connection, query: str, parameters: Sequence[object] = ()
) -> list[dict[str, Any]]:
    """The rows of any query, as dictionaries, in a transaction that cannot write.

    Raises UsageError with what the server says if the query is wrong or writes.
    """
    try:
        with one_snapshot(connection):
            cursor = connection.cursor(row_factory=dict_row)
            # prepared: the server takes one statement then, so none can end the transaction first
            cursor.execute(query.encode(), parameters or None, prepare=True)
            return cursor.fetchall() if cursor.description else []
    except (
        *(psycopg.errors.SyntaxErrorOrAccessRuleViolation, psycopg.DataError),
        *(psycopg.errors.ReadOnlySqlTransaction, psycopg.ProgrammingError),
    ) as error:
        raise UsageError(f"the query cannot be answered: {str(error).splitlines()[0]}") from None
