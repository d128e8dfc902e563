"""What workers and ingest tell Prometheus, and their /metrics and /health."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

#: From 5 ms, what one batch takes at least, to 10 minutes, after which people ask.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600)
SIZES = (1, 4, 16, 64, 256, 1000, 4000, 10_000)


class Served(Protocol):
    """What /metrics and /health are made of."""

    role: str
    registry: CollectorRegistry

    @property
    def last_done_at(self) -> datetime | None:
        """When something was last completed."""


class Metrics:
    """The numbers of one worker process."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.registry = CollectorRegistry()
        kept: dict[str, Any] = {"registry": self.registry}
        self.records = Counter(
            "hoaxwatch_records",
            "Records by what became of them, each counted once.",
            ["outcome"],
            **kept,
        )
        self.met_again = Counter(
            "hoaxwatch_records_met_again", "Records delivered again; they change nothing.", **kept
        )
        self.verdicts = Counter("hoaxwatch_verdicts", "Verdicts by state.", ["state"], **kept)
        self.batch = Histogram(
            "hoaxwatch_batch_records", "Records taken at once.", buckets=SIZES, **kept
        )
        self.stored_after = Histogram(
            "hoaxwatch_collected_to_stored_seconds",
            "From a post's arrival at the brokers to its commit in the database.",
            buckets=SECONDS,
            **kept,
        )
        self.model = Histogram(
            "hoaxwatch_model_seconds", "Time in the detector per batch.", buckets=SECONDS, **kept
        )
        self.pictures = Counter(
            "hoaxwatch_pictures",
            "Pictures wanted before their posts were judged, by what became of them.",
            ["outcome"],
            **kept,
        )
        self.fetching = Histogram(
            "hoaxwatch_pictures_seconds",
            "Time of fetching the pictures of a batch.",
            buckets=SECONDS,
            **kept,
        )
        self.tick = Histogram(
            "hoaxwatch_recount_seconds", "Time of a recount.", buckets=SECONDS, **kept
        )
        self.lag = Gauge(
            "hoaxwatch_lag_records", "Records of this worker's partitions that wait.", **kept
        )
        self.database_errors = Counter(
            "hoaxwatch_database_retries", "Times the database was away and was tried again.", **kept
        )
        self.died_before = Counter(
            "hoaxwatch_records_tried_alone",
            "Records gone through one at a time, since a process died over them.",
            **kept,
        )
        self.last_done_at: datetime | None = None

    def done(self, n_records: int) -> None:
        """Notes that a batch or a recount was completed now."""
        self.batch.observe(n_records)
        self.last_done_at = datetime.now(UTC)

    def stored(self, waited_seconds: Iterable[float]) -> None:
        """Notes how long after their arrival at the brokers records were stored."""
        for seconds in waited_seconds:
            self.stored_after.observe(max(0.0, seconds))

    def fetched(self, outcomes: Mapping[str, int], seconds: float) -> None:
        """Notes what became of the pictures of a batch."""
        for outcome, n in outcomes.items():
            self.pictures.labels(picture_outcome(outcome)).inc(n)
        self.fetching.observe(seconds)


def picture_outcome(outcome: str) -> str:
    """The label of an outcome: hosts may answer with any number, and each would be a series.

    >>> picture_outcome("answer 404"), picture_outcome("fetched")
    ('answer 4xx', 'fetched')
    """
    return re.sub(r"^(answer \d)\d\d$", r"\1xx", outcome)


class Ingested(Protocol):
    """What ingest counts by itself (`streams.ingest.Published`)."""

    @property
    def read(self) -> Mapping[str, int]:
        """Records read, by what they are."""

    @property
    def errors(self) -> Mapping[str, int]:
        """Deliveries that failed, by their error."""

    acknowledged: int
    acknowledged_at: datetime | None
    spooled: int
    spool_bytes: int


class IngestMetrics:
    """The numbers of one ingest process, made from its counts when somebody asks."""

    def __init__(self, counts: Ingested) -> None:
        self.role = "ingest"
        self.registry = CollectorRegistry()
        self._counts = counts
        self.registry.register(self)

    @property
    def last_done_at(self) -> datetime | None:
        """When the brokers last acknowledged something."""
        return self._counts.acknowledged_at

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks for."""
        counts = self._counts
        read = CounterMetricFamily(
            "hoaxwatch_ingest_read", "Records read, by what they are.", labels=["kind"]
        )
        for kind, n in dict(counts.read).items():
            read.add_metric([kind], n)
        errors = CounterMetricFamily(
            "hoaxwatch_ingest_errors",
            "Deliveries that failed and are tried again.",
            labels=["error"],
        )
        for error, n in dict(counts.errors).items():
            errors.add_metric([error], n)
        yield from (read, errors)
        yield CounterMetricFamily(
            "hoaxwatch_ingest_acknowledged",
            "Records that the brokers have.",
            value=counts.acknowledged,
        )
        yield CounterMetricFamily(
            "hoaxwatch_ingest_spooled",
            "Records that went to disk, since the brokers were away.",
            value=counts.spooled,
        )
        yield GaugeMetricFamily(
            "hoaxwatch_spool_bytes", "Bytes that wait on disk.", value=counts.spool_bytes
        )


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""


def serve_metrics(metrics: Served, host: str, port: int, is_well: Callable[[], bool]) -> int | None:
    """Serves /metrics and /health in a thread, at `port` or the next free one of twenty.

    Returns the port; None if `port` is 0 or none is free.
    """
    if port == 0:
        return None
    exposition = make_wsgi_app(metrics.registry)

    def answer(environ: Mapping[str, Any], start: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/health":
            return exposition(environ, start)  # type: ignore[no-any-return]
        well = is_well()
        start("200 OK" if well else "503 Service Unavailable", [("Content-Type", _JSON)])
        at = metrics.last_done_at
        told = {"role": metrics.role, "well": well, "last_done_at": at.isoformat() if at else None}
        return [json.dumps(told).encode()]

    for candidate in range(port, min(port + 20, 65_536)):
        try:
            server = make_server(host, candidate, answer, _Server, _Quiet)
        except OSError:
            continue
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        return candidate
    return None


_JSON = "application/json"
