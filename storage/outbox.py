"""Alerts that wait to be sent: taken by one sender each, stamped when they are out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row


class Alert(NamedTuple):
    """What people are to be told."""

    alert_id: int
    rule: str
    subject: str
    summary: str
    evidence: Any


def send_waiting(
    connection: psycopg.Connection, send: Callable[[Alert], None], limit: int, now: datetime
) -> int:
    """Sends up to `limit` alerts that nobody else is sending, oldest first; returns how many.

    Each is one transaction, which holds its row while it is sent: a sender that dies leaves it to
    the next one. One that cannot be sent stays, with the try counted, and those after it go on.
    """
    n_sent = 0
    after = 0
    for _ in range(limit):
        with connection.transaction():
            alert = (
                connection.cursor(row_factory=class_row(Alert))
                .execute(
                    "SELECT alert_id, rule, subject, summary, evidence FROM hoaxwatch.alerts"
                    " WHERE sent_at IS NULL AND alert_id > %s ORDER BY alert_id LIMIT 1"
                    " FOR UPDATE SKIP LOCKED",
                    (after,),
                )
                .fetchone()
            )
            if alert is None:
                break
            after = alert.alert_id
            sent_at: datetime | None = now
            try:
                send(alert)
                n_sent += 1
            except psycopg.Error:
                raise
            except Exception:  # a sink may fail in any way; the alert stays and is tried again
                sent_at = None
            connection.execute(
                "UPDATE hoaxwatch.alerts SET sent_at = %s, tries = tries + 1 WHERE alert_id = %s",
                (sent_at, alert.alert_id),
            )
    return n_sent
