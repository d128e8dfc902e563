"""What hoaxwatch depends on, looked at one by one: is it there, does it work, what to do if not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from storage import embedded, reads, tracking
from storage.database import connect, embedded_folder, open_database, shown_dsn
from storage.embedded import DatabaseUnavailable
from streams.errors import Unavailable, UsageError
from streams.settings import Settings, config_file
from streams.sources.registry import SOURCES, load_source, tell_spent
from streams.sources.source import Source

State = Literal["good", "optional", "bad"]

#: Below this a first run may fill the disk (bytes); a million posts take about 1 GB.
LEAST_FREE_BYTES = 500 << 20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` says what to do; empty if nothing has to be done."""

    name: str
    state: State
    detail: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Looks at everything, in the order in which it is needed. Makes no database and stores
    nothing; an embedded database that exists is started."""
    for check in CHECKS:
        yield from check(settings)


def _python(settings: Settings) -> Iterator[Finding]:
    told = f"{platform.python_version()} on {sys.platform} {platform.machine()}"
    if (3, 11) <= sys.version_info < (3, 14):
        yield Finding("python", "good", told)
    else:
        yield Finding("python", "bad", told, "use Python 3.11, 3.12 or 3.13")


def _packages(settings: Settings) -> Iterator[Finding]:
    names = ("hoaxwatch", "torch", "transformers", "psycopg", "igraph", "infomap")
    found = {name: _version_of(name) for name in names}
    missing = [name for name, told in found.items() if told is None]
    if missing:
        advice = "install hoaxwatch again: make venv, or pip install hoaxwatch"
        yield Finding("packages", "bad", f"missing: {', '.join(missing)}", advice)
    else:
        yield Finding("packages", "good", ", ".join(f"{n} {v}" for n, v in found.items()))
    if find_spec("torchvision") is not None and "+cpu" in (found["torch"] or ""):
        yield Finding(
            "torchvision",
            "bad",
            "is installed beside the CPU build of PyTorch and breaks its models",
            "pip uninstall torchvision",
        )


def _settings(settings: Settings) -> Iterator[Finding]:
    path = config_file()
    told = str(path) if path.exists() else f"environment and defaults (no {path})"
    yield Finding("settings", "good", told)
    if settings.tombstone_key.get_secret_value() == "hoaxwatch":
        yield Finding(
            "tombstone_key",
            "optional",
            "is the default, which everybody knows: who has a dump can test ids against it",
            "set HOAXWATCH_TOMBSTONE_KEY before the first deletion, and keep it",
        )


def _disk(settings: Settings) -> Iterator[Finding]:
    if settings.database is not None:
        return
    try:
        folder = embedded_folder(settings)
        near = next(part for part in (folder, *folder.parents) if part.exists())
        free = shutil.disk_usage(near).free
    except (DatabaseUnavailable, OSError) as error:
        yield Finding("disk", "bad", str(error), "set HOAXWATCH_HOME to a folder of yours")
        return
    told = f"{free / 1e9:.1f} GB free for {folder}"
    if free < LEAST_FREE_BYTES:
        yield Finding("disk", "bad", told, "free some, or set HOAXWATCH_HOME to another disk")
    else:
        yield Finding("disk", "good", told)


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.database is None:
        try:
            folder = embedded_folder(settings)
            if not embedded.status(folder).is_made:
                embedded.server_binaries(embedded.server_account())
                detail = f"none yet; the first run makes it in {folder}"
                yield from _writable(folder, detail)
                return
        except DatabaseUnavailable as error:
            yield Finding("database", "bad", *_in_two(str(error)))
            return
    try:
        with open_database(settings) as dsn, connect(dsn) as connection:
            server = reads.read_server_version(connection)
            counts = reads.read_counts(connection)
            where = shown_dsn(dsn) if settings.database is not None else f"embedded in {folder}"
    except (UsageError, Unavailable, DatabaseUnavailable) as error:
        yield Finding("database", "bad", *_in_two(str(error)))
        return
    told = f"PostgreSQL {server}, {where}: {counts.posts:,} posts"
    yield Finding("database", "good", told)
    if counts.quarantined:
        yield Finding(
            "quarantine",
            "optional",
            f"{counts.quarantined:,} records could not be used",
            "hoaxwatch quarantine list",
        )
    if counts.dirty_buckets:
        yield Finding(
            "recount",
            "optional",
            "the last run was broken off: some trends wait to be counted again",
            "run the same hoaxwatch run again",
        )


def _writable(folder: Path, detail: str) -> Iterator[Finding]:
    near = next(part for part in (folder, *folder.parents) if part.exists())
    if os.access(near, os.W_OK):
        yield Finding("database", "good", detail)
    else:
        yield Finding(
            "database", "bad", f"{near} cannot be written", "set HOAXWATCH_HOME to another folder"
        )


def _detector(settings: Settings) -> Iterator[Finding]:
    from detectors.detector import DetectorUnusable
    from hoaxwatch.evidence import detector_of
    from streams.records import Content
    from streams.steps import classify

    words = "The city council has confirmed that the bridge stays closed until Monday morning"
    try:
        detector = detector_of(settings)
        content = Content(platform="doctor", root_id="1", text=words, lang="en")
        verdict = classify(detector, [content])[0]
    except DetectorUnusable as error:
        yield Finding("detector", "bad", *_in_two(str(error)))
        return
    told = f"{detector.name} {detector.version}: one text {verdict.state}"
    yield Finding("detector", "good", told)


def _sources(settings: Settings) -> Iterator[Finding]:
    """Whether each live source has what it must be told. Nobody is asked: that may cost money."""
    from streams.sources.keeping import Keeping

    for name in SOURCES:
        module = load_source(name)
        try:
            module.open_source(settings, Keeping(()), lambda line: None)
        except UsageError as error:
            yield Finding(name, "optional", *_in_two(str(error)))
        else:
            yield Finding(name, "good", f"set up: {module.DESCRIPTION}")


def ask_source(settings: Settings, name: str) -> Finding:
    """Asks a live source whether it would serve us: one question, which costs nothing. Raises
    UsageError for a name that is none."""
    from streams.sources.following import Interrupted
    from streams.sources.keeping import Keeping

    said: list[str] = []
    try:
        source = load_source(name).open_source(settings, Keeping(()), said.append)
        greeting = source.greet(_recall(settings, source))
        while True:
            next(greeting)  # it waits
            if said:
                detail, _, _ = said[-1].partition("; again in")
                return Finding(name, "bad", detail, "try again later, and look at its address")
    except StopIteration as end:
        return Finding(name, "good", end.value)
    except Interrupted as failure:
        return Finding(name, "bad", str(failure), "try again later, and look at its address")
    except UsageError as error:
        return Finding(name, "bad", *_in_two(str(error)))


def _broker(settings: Settings) -> Iterator[Finding]:
    if settings.kafka is None:
        advice = "set HOAXWATCH_KAFKA"
        yield Finding("brokers", "optional", "none set; for ingest and worker", advice)
        return
    from streams.topics import read_topics

    try:
        topics = read_topics(settings)
    except (UsageError, Unavailable) as error:
        yield Finding("brokers", "bad", *_in_two(str(error)))
        return
    missing = [topic.topic for topic in topics if topic.partitions is None]
    if missing:
        told = f"{settings.kafka} answers, without topics {', '.join(missing)}"
        yield Finding("brokers", "bad", told, "hoaxwatch topics create")
    else:
        yield Finding("brokers", "good", f"{settings.kafka}: {len(topics)} topics")


def _ocr(settings: Settings) -> Iterator[Finding]:
    """What reads the words in pictures, tried on an empty one."""
    from detectors.text.ocr import OcrUnavailable, RapidOcr, Tesseract

    for name, engine, advice in (
        ("rapidocr", RapidOcr, "pip install 'hoaxwatch[ocr]'"),
        ("tesseract", Tesseract, "apt install tesseract-ocr"),
    ):
        try:
            ocr = engine()
            problem = ocr.read(np.full((40, 80, 3), 255, np.uint8)).problem
        except OcrUnavailable as error:
            detail = str(error).removesuffix(f": {advice}")
            yield Finding(name, "optional", f"{detail}; for words in pictures", advice)
            continue
        if problem is None:
            yield Finding(name, "good", f"{ocr.key}, {len(ocr.languages)} languages")
        else:
            yield Finding(name, "bad", f"read of an empty picture: {problem}", advice)


def _recall(settings: Settings, source: Source) -> str | None:
    """Where a source's posts stand, after it was told what others have spent; None where no
    database is made yet."""
    if settings.database is None and not embedded.status(embedded_folder(settings)).is_made:
        return None
    with open_database(settings) as dsn, connect(dsn) as connection:
        tell_spent(source, connection)
        return tracking.read_cursor(connection, source.name)


def _optional(settings: Settings) -> Iterator[Finding]:
    for name, wanted_for, advice in (
        ("java", "a Kafka of your own for tests", "apt install default-jre-headless"),
        ("psql", "hoaxwatch psql on a server of yours", "apt install postgresql-client"),
    ):
        found = shutil.which(name)
        if found:
            yield Finding(name, "good", found)
        else:
            yield Finding(name, "optional", f"not installed; for {wanted_for}", advice)
    if find_spec("pyarrow") is None:
        advice = "pip install 'hoaxwatch[arrow]'"
        yield Finding("pyarrow", "optional", "not installed; for Arrow tables in Python", advice)


def _in_two(message: str) -> tuple[str, str]:
    """A message of ours as what is wrong and what to do."""
    detail, _, advice = message.rpartition("; ")
    return (detail, advice) if detail else (advice, "")


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


#: In the order in which they are needed. Add one line per dependency.
CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    *(_python, _packages, _settings, _disk),
    *(_database, _detector, _broker, _ocr, _sources, _optional),
)
