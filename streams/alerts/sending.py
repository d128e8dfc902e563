"""What `worker alert` does: tells alerts anew now and then, and sends what waits.

An alert may be sent twice after a crash, under the same name; never lost.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from storage import outbox
from storage.database import Connection, connect, database_errors
from storage.outbox import Alert, Pace, Send
from streams.alerts.log import LogSink
from streams.alerts.messages import open_messages
from streams.alerts.policies import Policies, read_policies
from streams.alerts.sink import Sink
from streams.alerts.telling import sweep
from streams.alerts.webhook import WebhookSink
from streams.errors import UsageError
from streams.faults import fail_point
from streams.settings import Settings


def open_sinks(settings: Settings) -> dict[str, Sink]:
    """The sinks that the settings ask for, by name. Raises UsageError."""
    sinks: dict[str, Sink] = {"log": LogSink()}
    if settings.alert_webhook is not None:
        if settings.alert_webhook_secret is None:
            raise UsageError(
                "alert_webhook has no secret; set HOAXWATCH_ALERT_WEBHOOK_SECRET, so that its "
                "receiver can tell our alerts from others'"
            )
        address = settings.alert_webhook.get_secret_value()
        sinks["webhook"] = WebhookSink(address, settings.alert_webhook_secret.get_secret_value())
    if settings.alert_apprise is not None:
        sinks |= open_messages(settings.alert_apprise.get_secret_value())
    return sinks


def link_of(page: str | None, alert: Alert) -> str | None:
    """Where the page that is called so shows an alert.

    >>> link_of("https://page.example/", Alert(7, "hashtag_surge", "tag:a", "", {}))
    'https://page.example/alert?id=7'
    """
    if page is None:
        return None
    path = "/alerts" if alert.rule == outbox.DIGEST else f"/alert?id={alert.alert_id}"
    return page.rstrip("/") + path


def pace_of(policies: Policies) -> Pace:
    """How many alerts go out by themselves; those about the machinery always do."""
    sending = policies.sending
    every = timedelta(hours=sending.digest_hours)
    return Pace(sending.daily_quota, every, urgent=policies.WATCHED)


class AlertSender:
    """Sweeps every `sweep_seconds`; takes alerts that nobody else is sending, sends each to every
    sink, stamps it. One call, one batch."""

    BATCH = 50

    def __init__(
        self,
        dsn: str,
        sinks: Mapping[str, Sink],
        policies: Policies,
        sweep_seconds: float,
        page: str | None = None,
    ) -> None:
        self._dsn = dsn
        self._sinks = {name: _guarded(sink, page) for name, sink in sinks.items()}
        self._policies = policies
        self._sweep_seconds = sweep_seconds
        self._next_sweep = 0.0
        self._connection: Connection | None = None

    def __call__(self) -> int:
        """Sends what waits; returns how many were sent. Raises Unavailable."""
        with database_errors(self._dsn):
            if self._connection is None:
                self._connection = connect(self._dsn, role="hoaxwatch alert")
            now = datetime.now(UTC)
            if time.monotonic() >= self._next_sweep:
                sweep(self._connection, self._policies, now, sinks=self._sinks)
                self._next_sweep = time.monotonic() + self._sweep_seconds
            return outbox.send_waiting(
                self._connection, self._sinks, self.BATCH, now, pace_of(self._policies)
            )

    def close(self) -> None:
        """Lets go of the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def sender_of(dsn: str, settings: Settings) -> AlertSender:
    """The sender that the settings ask for. Raises UsageError, SettingsError."""
    policies = read_policies(settings.alert_policies)
    sinks = open_sinks(settings)
    return AlertSender(dsn, sinks, policies, settings.track_seconds, settings.web_address)


def _guarded(sink: Sink, page: str | None) -> Send:
    def send(alert: Alert) -> None:
        fail_point("alert.before_send")
        sink.send(alert._replace(link=link_of(page, alert)))
        fail_point("alert.before_commit")

    return send
