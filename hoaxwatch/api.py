"""hoaxwatch from Python, for notebooks and scripts: what the commands do, as functions.

    from hoaxwatch import open_project, read_posts, score, trends

    score("They put microchips into the water").score
    with open_project("study") as project:
        project.run(["tweets.csv.xz"])
        project.trends("egu23", by="day").to_arrow()

Answers are rows: sequences of records, with `to_dicts()` and `to_arrow()`. Times are UTC. Errors
are those of the commands: UsageError, InputError, SettingsError, Unavailable, each with one line
that says what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, get_args, overload

from hoaxwatch.commands.options import check_project, parse_topic
from hoaxwatch.evidence import detector_of
from storage import reads
from storage.database import Connection, connect, database_errors, open_database
from storage.reads import ClusterRow, HashtagRow, TrendRow
from streams import local, steps
from streams.errors import UsageError
from streams.formats.registry import read_file
from streams.local import RunResult
from streams.records import Content, Post, Problem, Verdict, content_hash
from streams.settings import Settings, read_settings

if TYPE_CHECKING:
    import pyarrow

Row = TypeVar("Row")
Grain = Literal["day", "hour"]
Algorithm = Literal["louvain", "infomap"]
OnProblem = Literal["warn", "skip", "raise"] | Callable[[Problem], object]


class Rows(Sequence[Row], Generic[Row]):
    """An answer: records in order, all of one kind.

    >>> rows = Rows([{"hashtag": "egu23", "posts": 3}])
    >>> len(rows), rows[0]["posts"], rows.to_dicts()
    (1, 3, [{'hashtag': 'egu23', 'posts': 3}])
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Rows[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Rows[Row]:
        if isinstance(place, slice):
            return Rows(self._rows[place])
        return self._rows[place]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        shown = ",\n ".join(map(repr, self._rows[:5]))
        more = f",\n ... {len(self) - 5} more" if len(self) > 5 else ""
        return f"Rows([{shown}{more}])"

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries: what pandas.DataFrame and polars.DataFrame take."""
        return [dict(row) if isinstance(row, Mapping) else row._asdict() for row in self._rows]  # type: ignore[attr-defined]

    def to_arrow(self) -> pyarrow.Table:
        """The rows as an Arrow table. Raises UsageError if pyarrow is not installed."""
        try:
            import pyarrow
        except ImportError:
            raise UsageError(
                "Arrow tables need pyarrow: pip install 'hoaxwatch[arrow]', or take to_dicts()"
            ) from None
        return pyarrow.Table.from_pylist(self.to_dicts())


def read_posts(
    *paths: str | Path, format: str | None = None, on_problem: OnProblem = "warn"
) -> Iterator[Post]:
    """Every post of these files, in their order; no database is used.

    format: what the files are; looked at if not given. on_problem: what happens to records that
    cannot be read: "warn" once per file with how many and the first reason, "skip", "raise", or a
    function that gets each Problem. The same post in two files comes twice: `Project.run` merges.
    Raises InputError for a file that cannot be used, ValueError with "raise".
    """
    for path in paths:
        n_records = n_problems = 0
        first: Problem | None = None
        for reading in read_file(path, format):
            n_records += 1
            if isinstance(reading, Post):
                yield reading
            elif isinstance(reading, Problem):
                n_problems += 1
                first = first or reading
                if callable(on_problem):
                    on_problem(reading)
                elif on_problem == "raise":
                    raise ValueError(f"{reading.source} {reading.position}: {reading.reason}")
        if first is not None and on_problem == "warn":
            warnings.warn(
                f"{n_problems} of {n_records} records of {path} unmapped; first, "
                f"{first.position}: {first.reason}",
                stacklevel=2,
            )


@overload
def score(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too; it is one text
    texts: str, *, lang: str | None = None, detector: str | None = None
) -> Verdict: ...
@overload
def score(
    texts: Iterable[str], *, lang: str | None = None, detector: str | None = None
) -> list[Verdict]: ...
def score(
    texts: str | Iterable[str], *, lang: str | None = None, detector: str | None = None
) -> Verdict | list[Verdict]:
    """The verdict on a text, or on each of several; no database is used, nothing is stored.

    lang: language code of all texts; identified if not given. detector: its name; the setting's
    if not given. A verdict's `score` is the probability of being likely false, in [0, 1], None
    with a `reason` if the detector abstains. A score is a model's opinion, not a fact check.
    Each call loads the detector (about a second for `bert`): give many texts at once.

    >>> score("🎉🎉", detector="tfidf").reason
    'emoji_only'
    """
    if isinstance(texts, str):
        return score([texts], lang=lang, detector=detector)[0]
    judge = detector_of(read_settings(detector=detector))
    contents = [
        Content(
            platform="python",
            root_id=str(i),
            text=text,
            lang=lang,
            input_hash=content_hash(text, lang),
        )
        for i, text in enumerate(texts)
    ]
    return steps.classify(judge, contents)


def open_project(name: str | None = None, *, database: str | None = None) -> Project:
    """The project of this name with its database, started if it is embedded. Use with `with`.

    name: the setting `project` if not given. database: postgresql://... of a server of yours.
    """
    return Project(read_settings(project=name, database=database))


class Project:
    """One study: its tables, and what can be asked of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._held = ExitStack()
        self._dsn = self._held.enter_context(open_database(settings))
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives up the connection; an embedded database stops when nobody uses it."""
        self._held.close()
        self._connection = None

    def run(
        self,
        files: Sequence[str | Path],
        *,
        format: str | None = None,
        progress: local.Progress | None = None,
    ) -> RunResult:
        """Reads post files, judges and follows what they hold, brings every table up to date:
        `hoaxwatch run`. The same files again change nothing."""
        inputs = local.check_inputs([Path(file) for file in files], format)
        judge = detector_of(self.settings)
        return local.run(self._dsn, inputs, judge, self.settings, progress)

    @overload
    def trends(
        self,
        hashtag: None = None,
        *,
        by: Grain = "day",
        tz: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> Rows[HashtagRow]: ...
    @overload
    def trends(
        self,
        hashtag: str,
        *,
        by: Grain = "day",
        tz: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> Rows[TrendRow]: ...
    def trends(
        self,
        hashtag: str | None = None,
        *,
        by: Grain = "day",
        tz: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> Rows[HashtagRow] | Rows[TrendRow]:
        """The hashtags with most posts; with `hashtag`, its days or hours in order of time.

        tz: whose days; the setting `timezone` if not given. Hours are UTC. A share carries the
        hashtags of its original; buckets without a post have no row. limit: of the list.
        """
        if by not in get_args(Grain):
            raise UsageError(f"by={by!r} is not a bucket; there are day and hour")
        tag = None if hashtag is None else parse_topic(hashtag)
        zone = read_settings(timezone=tz).timezone if tz else self.settings.timezone
        with self._asking() as connection:
            if tag is None:
                return Rows(reads.read_hashtags(connection, limit, since, until))
            if by == "day" and zone != "UTC":
                return Rows(reads.read_days(connection, tag, zone, since, until))
            return Rows(reads.read_trends(connection, tag, by, since, until))

    def clusters(
        self,
        hashtag: str,
        *,
        algorithm: Algorithm | None = None,
        window_start: datetime | None = None,
        min_users: int = 2,
    ) -> Rows[ClusterRow]:
        """The groups of accounts that share each other's posts with a hashtag, by window of event
        time, algorithm and size."""
        if algorithm is not None and algorithm not in get_args(Algorithm):
            raise UsageError(f"algorithm={algorithm!r} is unknown; there are louvain and infomap")
        tag = parse_topic(hashtag)
        with self._asking() as connection:
            return Rows(reads.read_clusters(connection, tag, algorithm, window_start, min_users))

    def sql(self, query: str, *parameters: object) -> Rows[dict[str, Any]]:
        """The answer to a query, read-only; %s in it stand for the parameters.

        Names in schema `mart` stay from version to version, those in `hoaxwatch` may change.
        """
        with self._asking() as connection:
            return Rows(reads.read_query(connection, query, parameters))

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        with database_errors(self._dsn):
            if self._connection is None or self._connection.closed:
                self._connection = self._held.enter_context(connect(self._dsn))
            yield self._connection


def trends(
    hashtag: str | None = None,
    *,
    project: str | None = None,
    database: str | None = None,
    **options: Any,
) -> Rows[HashtagRow] | Rows[TrendRow]:
    """`Project.trends` of a project that is opened for it; the options are the same.

    Raises UsageError where there is no such project.
    """
    with _open_existing(project, database) as opened:
        if hashtag is None:
            return opened.trends(**options)
        return opened.trends(hashtag, **options)


def clusters(
    hashtag: str, *, project: str | None = None, database: str | None = None, **options: Any
) -> Rows[ClusterRow]:
    """`Project.clusters` of a project that is opened for it; the options are the same.

    Raises UsageError where there is no such project.
    """
    with _open_existing(project, database) as opened:
        return opened.clusters(hashtag, **options)


def _open_existing(project: str | None, database: str | None) -> Project:
    settings = read_settings(project=project, database=database)
    check_project(settings)
    return Project(settings)
