"""The sinks of people: mail, Slack, Teams and a hundred others, by apprise.

Which one and for whom is an address, `slack://...` or `mailtos://...`, and holds its secret.
Apprise says of a failure only that it was one; why, it writes into its log, with parts of
addresses. So its log goes nowhere, and of what it says only the status is taken.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storage.outbox import DIGEST, Alert
from streams.alerts.sink import PAUSES_SECONDS, SinkFailed, try_again
from streams.errors import UsageError

if TYPE_CHECKING:
    from apprise import AppriseAsset

#: Of one try, with the connection that it takes.
TIMEOUT_SECONDS = 20.0
#: So many posts and accounts stand in a message; the page has all.
N_SHOWN = 5
#: What the name of a sink is made of.
_SCHEMA = re.compile(r"^([a-z][a-z0-9]*)://", re.ASCII)
_STATUS = re.compile(r"error=(\d{3})\b")
#: Loggers that name addresses with their secrets.
_TALKERS = ("apprise", "urllib3", "requests_oauthlib", "oauthlib")


def open_messages(addresses: str) -> dict[str, AppriseSink]:
    """A sink for each address (between them is white space), by its kind: slack, then slack2. The
    name is by what an alert is noted as sent, so a new address goes behind the others.

    Raises: UsageError without apprise, and for an address that it does not know.
    """
    sinks: dict[str, AppriseSink] = {}
    for number, address in enumerate(addresses.split(), 1):
        schema = _SCHEMA.match(address.lower())
        if schema is None:
            raise UsageError(
                f"alert_apprise: number {number} is no address; they look like slack://..."
            )
        kind = schema[1]
        n_before = sum(name.rstrip("0123456789") == kind for name in sinks)
        sinks[f"{kind}{n_before + 1}" if n_before else kind] = AppriseSink(address, number)
    return sinks


class AppriseSink:
    """Sends alerts as words to one address. What apprise calls delivered means taken."""

    def __init__(
        self,
        address: str,
        number: int = 1,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
    ) -> None:
        try:
            import apprise
        except ImportError:
            raise UsageError(
                "alert_apprise needs apprise: pip install 'hoaxwatch[alerts]'"
            ) from None
        with _listening():
            self._apprise = apprise.Apprise(asset=_asset(timeout_seconds))
            is_known = self._apprise.add(address)
        if not is_known:
            raise UsageError(
                f"alert_apprise: number {number} is no address that apprise takes; its "
                "documentation lists them by service"
            )
        self._pauses_seconds = pauses_seconds

    def send(self, alert: Alert) -> None:
        """Sends it, at most three times. Raises SinkFailed with what went wrong the last time."""
        try_again(lambda: self._send(alert), self._pauses_seconds)

    def _send(self, alert: Alert) -> None:
        from apprise import NotifyFormat, NotifyType

        with _listening() as said:
            try:
                is_sent = self._apprise.notify(
                    body=body_of(alert),
                    title=f"hoaxwatch: {alert.rule.replace('_', ' ')}",
                    notify_type=NotifyType.WARNING,
                    body_format=NotifyFormat.TEXT,
                )
            except Exception as error:
                raise SinkFailed(type(error).__name__) from None
        if not is_sent:
            statuses = _STATUS.findall(" ".join(said))
            raise SinkFailed(f"answer {statuses[-1]}" if statuses else "not taken")


def body_of(alert: Alert) -> str:
    """What a message says, in words: ids of posts and accounts, no texts and no names.

    >>> print(body_of(Alert(7, "hashtag_surge", "tag:a", "#a: 60 posts in an hour", {})))
    #a: 60 posts in an hour
    alert 7
    """
    lines = [alert.summary]
    if alert.rule == DIGEST:
        lines += [f"alert {one['alert_id']}: {one['summary']}" for one in alert.evidence]
    else:
        lines += _evidence(alert.evidence)
        lines.append(f"alert {alert.alert_id}")
    return "\n".join(lines + ([alert.link] if alert.link else []))


def _evidence(evidence: Any) -> Iterator[str]:
    """When it began, how it grew, what ends it, posts and accounts."""
    if "began_at" in evidence:
        yield f"began {evidence['began_at'][:16].replace('T', ' ')} UTC"
    if first := evidence.get("at_first"):  # of the machinery only what is so now is known
        measure = evidence["measure"]
        now = evidence["now"][measure]
        yield f"{measure.replace('_', ' ')}: {first[measure]:g} at first, {now:g} now"
    if "ends" in evidence:
        yield evidence["ends"]
    for what, names in (
        ("posts", [post["post"] for post in evidence.get("posts", ())]),
        ("accounts", evidence.get("accounts", ())),
    ):
        if names:
            yield f"{what}: {_some(names)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_SHOWN} more" if len(names) > N_SHOWN else ""
    return ", ".join(names[:N_SHOWN]) + more


def _asset(timeout_seconds: float) -> AppriseAsset:
    """Nothing on disk, no pictures from elsewhere, no redirects, which could lead a secret away."""
    from apprise import AppriseAsset, PersistentStoreMode

    return AppriseAsset(
        app_id="hoaxwatch",
        app_desc="hoaxwatch",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        http_redirects=False,
        storage_mode=PersistentStoreMode.MEMORY,
        service_timeout=timeout_seconds,
    )


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Inside, what apprise would log is kept here, and nothing of it reaches a log."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear = Ear()
    loggers = [logging.getLogger(name) for name in _TALKERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    try:
        for logger in loggers:
            logger.addHandler(ear)
            logger.propagate = False
            logger.setLevel(logging.WARNING)
        yield said
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(ear)
            logger.propagate = propagate
            logger.setLevel(level)
