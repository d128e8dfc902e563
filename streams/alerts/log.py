"""The sink that is always there: the log."""

from __future__ import annotations

import structlog

from storage.outbox import Alert


class LogSink:
    """Writes an alert as one line of the log."""

    def send(self, alert: Alert) -> None:
        """One line: which rule, about what, the summary."""
        structlog.get_logger().warning(
            "alert",
            alert_id=alert.alert_id,
            rule=alert.rule,
            subject=alert.subject,
            summary=alert.summary,
        )
