"""The one interface of all sinks: an alert goes out. A sink never decides."""

from __future__ import annotations

from typing import Protocol

from storage.outbox import Alert


class Sink(Protocol):
    """Where alerts go."""

    def send(self, alert: Alert) -> None:
        """Sends one alert; returns when it is out. Raises anything if it could not be sent: it
        then waits and is tried again."""
