"""The one interface of all sinks: an alert goes out. A sink never decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from storage.outbox import Alert

#: Pauses before the second try and the third, while the alert is held; later ones come by the
#: outbox.
PAUSES_SECONDS = (0.5, 2.0)


class SinkFailed(Exception):
    """A sink did not take an alert. `shown` says why, without addresses or secrets."""

    def __init__(self, shown: str) -> None:
        super().__init__(shown)
        self.shown = shown


class Sink(Protocol):
    """Where alerts go."""

    def send(self, alert: Alert) -> None:
        """Sends one alert; returns when it is out. Raises anything if it could not be sent: it
        then waits and is tried again."""


def try_again(send: Callable[[], None], pauses_seconds: tuple[float, ...]) -> None:
    """Sends, and again after each pause. Raises SinkFailed with what went wrong the last time."""
    for pause in (*pauses_seconds, None):
        try:
            send()
            return
        except SinkFailed:
            if pause is None:
                raise
            time.sleep(pause)
