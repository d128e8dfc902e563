"""Sends alerts that wait in the database. An alert may be sent twice after a crash, never lost."""

from __future__ import annotations

from datetime import UTC, datetime

from storage import outbox
from storage.database import Connection, connect, database_errors
from storage.outbox import Alert
from streams.alerts.log import LogSink
from streams.alerts.sink import Sink
from streams.faults import fail_point


class AlertSender:
    """Takes alerts that nobody else is sending, sends each, stamps it. One call, one batch."""

    BATCH = 50

    def __init__(self, dsn: str, sink: Sink | None = None) -> None:
        self._dsn = dsn
        self._sink = sink or LogSink()
        self._connection: Connection | None = None

    def __call__(self) -> int:
        """Sends what waits; returns how many were sent. Raises Unavailable."""
        with database_errors(self._dsn):
            if self._connection is None:
                self._connection = connect(self._dsn, role="hoaxwatch alert")
            return outbox.send_waiting(self._connection, self._send, self.BATCH, datetime.now(UTC))

    def _send(self, alert: Alert) -> None:
        fail_point("alert.before_send")
        self._sink.send(alert)
        fail_point("alert.before_commit")

    def close(self) -> None:
        """Lets go of the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
