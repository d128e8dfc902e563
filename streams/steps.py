"""The pipeline's steps as plain functions over batches: record, classify, judge, track.

`record` stores what was read, `classify` scores what has no verdict yet, `judge` stores the
verdicts, `compare` looks for checked claims that are repeated, `keep` stores those, `track`
recounts what the others touched, `score_cascades` judges how things spread. Each of the storing
steps is one transaction (the last one several) and may be repeated at will. The same functions run
in one process (`streams.local`) and behind Kafka.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from detectors.cascades import CascadeDetector, Checkpoints, SharedPost, cascade_states
from detectors.detector import Detector
from detectors.fusion import Fused, Fusion, fuse
from detectors.posts import ReadsPosts
from storage import cascades, claims, history, lineages, positions, recount, retention, writes
from storage.cascades import JudgedState, RootKey
from storage.claims import ClaimCheck, Pending
from storage.database import Connection, Cursor
from storage.recount import WindowRows
from storage.rows import PostRows, rows_of
from streams.channel import beside
from streams.claims import ClaimMatcher
from streams.clustering import TrackOptions, cluster_hashtags, windows_of
from streams.faults import fail_point
from streams.lineages import Naming, Touched
from streams.records import Content, Deletion, NotAPost, Post, Problem, Reading, Verdict
from streams.rereading import tell_again


@dataclass
class Recorded:
    """What became of a batch: each reading in exactly one outcome, and what waits for a verdict."""

    outcomes: Counter[str] = field(default_factory=Counter)
    not_posts: Counter[str] = field(default_factory=Counter)
    pending: list[Content] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, other: Recorded) -> None:
        """Takes over the counts of another batch."""
        self.outcomes += other.outcomes
        self.not_posts += other.not_posts
        self.pending += other.pending
        self.problems += other.problems


#: Topic, partition and offset of a record on the brokers.
Place = tuple[str, int, int]


@dataclass(frozen=True)
class Batch:
    """Readings with the rows that their posts make: what can be done without the database.

    `places`, if they came from the brokers: where each lies there.
    """

    readings: Sequence[Reading]
    posts: Sequence[Post]
    rows: PostRows
    received_at: datetime
    places: Sequence[Place] = ()


#: How often a batch is begun that crosses with others.
RECORD_TRIES = 5

#: A post may be dated so far ahead of when it was collected: clocks differ.
FUTURE_TOLERANCE = timedelta(hours=24)


def check_time(reading: Reading, now: datetime) -> Reading:
    """The reading, or a Problem if it is a post dated more than 24 hours ahead of its collection
    (of `now`, if that is not known). No bucket of a day to come may be made by a broken clock."""
    if not isinstance(reading, Post):
        return reading
    collected_at = reading.observed_at or now
    if reading.posted_at - collected_at <= FUTURE_TOLERANCE:
        return reading
    return _problem_of(
        reading,
        f"posted_at: {reading.posted_at:%Y-%m-%d %H:%M} is in the future "
        f"(collected {collected_at:%Y-%m-%d %H:%M})",
    )


def _problem_of(post: Post, reason: str) -> Problem:
    return Problem(
        reason=reason,
        source=post.provenance or post.platform,
        position=f"post {post.post_id}",
        raw=post.raw,
    )


def prepare(readings: Sequence[Reading], now: datetime, places: Sequence[Place] = ()) -> Batch:
    """The batch of these readings, ready to be recorded."""
    readings = [check_time(reading, now) for reading in readings]
    posts = [reading for reading in readings if isinstance(reading, Post)]
    rows = rows_of(posts, now)
    rows.make_copied()
    return Batch(readings, posts, rows, now, places)


def record(
    connection: Connection, batch: Batch, detector: Detector, tombstone_key: str
) -> Recorded:
    """Stores one batch in one transaction: posts, deletions, quarantine.

    A post that the database cannot hold does not take its batch with it: the batch is halved until
    that post is alone, and then it is quarantined.
    """
    try:
        return _record_again(connection, batch, detector, tombstone_key)
    except writes.BAD_VALUE as error:
        if len(batch.readings) == 1:
            reading = batch.readings[0]
            if not isinstance(reading, Post):
                raise
            reason = f"cannot be stored: {str(error).splitlines()[0]}"
            problem = _problem_of(reading, reason)
            alone = prepare([problem], batch.received_at, batch.places)
            return _record_again(connection, alone, detector, tombstone_key)
    result = Recorded()
    middle = len(batch.readings) // 2
    for part in (slice(middle), slice(middle, None)):
        half = prepare(batch.readings[part], batch.received_at, batch.places[part])
        result.add(record(connection, half, detector, tombstone_key))
    return result


def _record_again(
    connection: Connection, batch: Batch, detector: Detector, tombstone_key: str
) -> Recorded:
    """Begins again where another process stored contents of this batch in another order: it goes on
    meanwhile."""
    for left in range(RECORD_TRIES - 1, -1, -1):
        try:
            return _record_at_once(connection, batch, detector, tombstone_key)
        except writes.DEADLOCK:
            if not left:
                raise
    raise AssertionError("unreachable")


def _record_at_once(
    connection: Connection, batch: Batch, detector: Detector, tombstone_key: str
) -> Recorded:
    readings = batch.readings
    deletions = [reading for reading in readings if isinstance(reading, Deletion)]
    problems = [reading for reading in readings if isinstance(reading, Problem)]
    not_posts = Counter(reading.what for reading in readings if isinstance(reading, NotAPost))
    result = Recorded(not_posts=not_posts, problems=problems)
    result.outcomes.update(
        {
            "deletion applied": len(deletions),
            "quarantined": len(problems),
            "not a post": not_posts.total(),
        }
    )
    while True:
        with connection.transaction(), connection.cursor() as cursor:
            if deletions:
                hashtags = writes.apply_deletions(cursor, deletions, tombstone_key)
                for posts in tell_again(cursor):
                    writes.upsert_posts(cursor, rows_of(posts, batch.received_at))
                    result.pending += _pending(cursor, detector)
                history.drop_unused(cursor, hashtags)
            kept, n_deleted, implied = writes.without_deleted(cursor, batch.posts, tombstone_key)
            if implied:
                deletions += implied
                continue
            current, n_old = retention.without_outdated(cursor, kept)
            result.outcomes["expired"] = n_deleted + n_old
            if current:
                rows = rows_of(current, batch.received_at) if n_deleted + n_old else batch.rows
                result.outcomes.update(writes.upsert_posts(cursor, rows))
                result.pending += _pending(cursor, detector)
            writes.add_quarantined(cursor, problems, batch.received_at)
            positions.count_records(cursor, positions.spans_of(batch.places), result.outcomes)
            return result


def _pending(cursor: Cursor, detector: Detector) -> list[Content]:
    """What the batch just stored has for the detector. One that reads more than words is asked
    about all of it: counters or pictures may be others (`streams.judging`)."""
    return writes.read_pending_of_batch(
        cursor, detector.name, detector.version, also_judged=isinstance(detector, ReadsPosts)
    )


def classify(detector: Detector, contents: Sequence[Content]) -> list[Verdict]:
    """One verdict per content. Raises ValueError if the detector breaks its contract: another
    number of verdicts, or a score that is none."""
    verdicts = detector.score(contents)
    if len(verdicts) != len(contents):
        raise ValueError(
            f"detector {detector.name} gave {len(verdicts)} verdicts for {len(contents)} contents"
        )
    for verdict in verdicts:
        score = 0.0 if verdict.state == "abstained" else verdict.score
        if score is None or not 0 <= score <= 1:
            raise ValueError(f"detector {detector.name} gave the score {verdict.score}")
    return verdicts


def judge(
    connection: Connection, verdicts: Sequence[Verdict], now: datetime, *, beside: bool = False
) -> Counter[str]:
    """Stores verdicts in one transaction, `beside` those that count; returns how many were scored
    and abstained."""
    return writes.upsert_verdicts(connection, verdicts, now, beside=beside)


def compare(
    connection: Connection, matcher: ClaimMatcher, contents: Sequence[Content]
) -> list[ClaimCheck]:
    """Which checked claims these contents repeat. Nothing if no claims are loaded: that costs one
    small query."""
    if not contents or not matcher.refresh(connection):
        return []
    return matcher.check([Pending(content, 0, None, None) for content in contents])


def keep(
    connection: Connection, matcher: ClaimMatcher, checks: Sequence[ClaimCheck]
) -> Counter[str]:
    """Stores what was found in one transaction; returns how many contents were compared, and how
    many of them repeat a claim that is new to them."""
    if not checks:
        return Counter()
    claims.store_checks(connection, checks, matcher.version, matcher.encoder.name)
    return Counter(
        compared=sum(check.reason is None for check in checks),
        matched=sum(bool(check.matches) for check in checks),
    )


def match_claims(
    connection: Connection,
    matcher: ClaimMatcher,
    page: int,
    watch: Callable[[int], None] = lambda n_contents: None,
) -> Counter[str]:
    """Compares every stored content with the claims that it was not compared with: new contents
    with all, others with what was loaded since. Counts as `keep`.

    In pages of one transaction each: killed in the middle, the next call does the rest. What is
    stored depends on the stored contents and claims alone.
    """
    counts: Counter[str] = Counter()
    if not matcher.refresh(connection):
        return counts
    for pending in claims.read_pending(connection, matcher.version, matcher.upto, page):
        counts += keep(connection, matcher, matcher.check(pending))
        watch(len(pending))
        fail_point("claims.after_page")
    return counts


@dataclass(frozen=True)
class CascadeScoring:
    """How cascades are judged, and how that is combined with what the text's detector says."""

    detector: CascadeDetector
    fusion: Fusion
    checkpoints: Checkpoints


#: Cascades that are judged in one transaction.
CASCADES_AT_ONCE = 200


def score_cascades(connection: Connection, scoring: CascadeScoring) -> Counter[str]:
    """Judges every cascade whose posts changed, at each of its checkpoints, and combines the latest
    verdict with that about its root's text; returns how many verdicts were scored and abstained.

    In small transactions: killed in the middle, the next call does the rest. What is stored depends
    on the stored posts alone.
    """
    detector, min_shares = scoring.detector, scoring.checkpoints.min_shares
    cascades.drop_others(connection, detector.name, detector.version, min_shares)
    changed = cascades.read_changed(connection, detector.name, detector.version, min_shares)
    counts: Counter[str] = Counter()
    for first in range(0, len(changed), CASCADES_AT_ONCE):
        hashes = dict(changed[first : first + CASCADES_AT_ONCE])
        with connection.transaction(), connection.cursor() as cursor:
            found = [
                (key, hashes[key], judge_cascade(scoring, key, posts))
                for key, posts in cascades.read_posts(cursor, list(hashes))
            ]
            cascades.replace_verdicts(cursor, detector.name, detector.version, found)
        counts.update(state.verdict.state for _, _, states in found for state in states)
    with connection.transaction(), connection.cursor() as cursor:
        texts = [part.detector for part in scoring.fusion.parts if part.detector != detector.name]
        opinions = cascades.read_opinions(cursor, detector.name, detector.version, texts)
        cascades.replace_combined(
            cursor,
            scoring.fusion.version,
            [(key, combine(scoring.fusion, verdicts)) for key, verdicts in opinions],
        )
    return counts


def judge_cascade(
    scoring: CascadeScoring, key: RootKey, posts: Sequence[SharedPost]
) -> list[JudgedState]:
    """The verdicts about one cascade; a state that comes twice is judged once."""
    states = cascade_states(*key, posts, scoring.checkpoints)
    distinct = {state.cascade.input_hash: state.cascade for state in states}
    verdicts = dict(zip(distinct, scoring.detector.score(list(distinct.values())), strict=True))
    return [
        JudgedState(
            state.checkpoint,
            state.cascade.n_nodes,
            state.seen_until,
            verdicts[state.cascade.input_hash],
        )
        for state in states
    ]


def combine(fusion: Fusion, verdicts: Sequence[Verdict]) -> Fused:
    """One score of a root from all verdicts about it. Of several versions of one detector the one
    that the weights were fitted with has the vote."""
    by_part: dict[str, Verdict] = {}
    for part in fusion.parts:
        own = [verdict for verdict in verdicts if verdict.detector == part.detector]
        own.sort(key=lambda verdict: (verdict.version == part.version, verdict.version))
        if own:
            by_part[part.name] = own[-1]
    return fuse(fusion, by_part)


@dataclass(frozen=True)
class Tracked:
    """What one tick recounted."""

    n_hashtags: int = 0
    n_trend_rows: int = 0
    n_windows: int = 0


@dataclass(frozen=True)
class Owned:
    """The part of the hashtags that one of several workers counts: partitions of `n_partitions`,
    each with the epoch at which it was taken. Workers with different partitions never meet."""

    epochs: Mapping[int, int]
    n_partitions: int

    @property
    def shards(self) -> list[int]:
        """The shards of hashtags in these partitions."""
        return [s for s in range(recount.N_SHARDS) if s % self.n_partitions in self.epochs]


ALL_SHARDS = range(recount.N_SHARDS)

#: Lists of windows that are found before the first is stored: some 40,000 accounts, as many as are
#: clustered while the server counts (measured: with 6,000 the finder stood still meanwhile, a tenth
#: of a run).
FOUND_AHEAD = 16


def track(
    connection: Connection,
    options: TrackOptions,
    owned: Owned | None = None,
    *,
    keeps_windows: bool = False,
) -> Tracked:
    """Recounts every dirty bucket and its cluster windows, in one transaction. If the windows have
    another length or step than before, everything is dirty; with `keeps_windows` they stay as the
    project has them, whatever the options say.

    `owned` restricts it to a worker's part. Raises streams.errors.Replaced, before anything is
    written, if another worker has taken one of the partitions since.
    """
    n_windows = 0
    if not (keeps_windows and recount.has_plan(connection)):
        recount.adopt_plan(connection, options.window_hours, options.window_step_hours)
    with connection.transaction(), connection.cursor() as cursor:
        recount.hold_policy(cursor)
        length_hours, step_hours = recount.hold_plan(cursor)
        if owned is not None:
            positions.hold_partitions(cursor, owned.epochs)
        taken = recount.take_dirty(cursor, ALL_SHARDS if owned is None else owned.shards)
        if not taken:
            return Tracked()
        policy_id = recount.active_policy(cursor)
        options = replace(
            options,
            window_hours=length_hours,
            window_step_hours=step_hours,
            not_before=retention.read_floor(cursor),
        )
        clustered = cluster_hashtags(connection, taken, options, policy_id)
        # we find clusters while the server counts and stores: neither needs the other
        with beside(clustered, size=FOUND_AHEAD) as found:
            outdated = recount.hashtags_with_windows(cursor) & taken.keys()
            labelled = lineages.read_labelled(cursor, sorted(outdated))
            planned = [
                window for tag in outdated for window in windows_of(tag, taken[tag], options)
            ]
            others = recount.windows_off_plan(
                cursor, outdated, options.length, options.step, options.not_before
            )
            recount.clear_windows(cursor, planned + others)
            n_rows = recount.recount_trends(cursor)
            for rows in _named(cursor, found, taken, outdated, labelled, options):
                recount.add_windows(cursor, rows)
                n_windows += len(rows)
        fail_point("track.before_commit")
    return Tracked(len(taken), n_rows, n_windows)


def _named(
    cursor: Cursor,
    found: Iterable[list[WindowRows]],
    taken: Mapping[str, Sequence[datetime]],
    outdated: Set[str],
    labelled: lineages.Labelled,
    options: TrackOptions,
) -> Iterator[list[WindowRows]]:
    """The windows found, with names for their clusters; stores what happened to these names, and
    names that change in windows that were not touched."""
    unseen = set(outdated)
    events: list[lineages.EventLine] = []
    naming: Naming | None = None
    for rows in found:
        for window in rows:
            hashtag = str(window.network[0])
            if naming is None or naming.hashtag != hashtag:
                events += _finish(naming)
                touched = _touched(hashtag, taken[hashtag], options, hashtag in outdated)
                naming = Naming(cursor, touched, labelled)
                unseen.discard(hashtag)
            naming.name(window)
        lineages.add_events(cursor, events)
        events.clear()
        yield rows
    events += _finish(naming)
    for hashtag in sorted(unseen):  # nothing is left of their touched windows
        touched = _touched(hashtag, taken[hashtag], options, True)
        if touched.starts:
            events += _finish(Naming(cursor, touched, labelled))
    lineages.add_events(cursor, events)


def _finish(naming: Naming | None) -> list[lineages.EventLine]:
    """What happened to the names of a hashtag whose windows are all named."""
    if naming is None:
        return []
    naming.finish()
    return naming.take_events()


def _touched(
    hashtag: str, hours: Sequence[datetime], options: TrackOptions, is_known: bool
) -> Touched:
    return Touched(
        hashtag=hashtag,
        starts=[start for _, start, _ in windows_of(hashtag, hours, options)],
        length=options.length,
        step=options.step,
        is_known=is_known,
    )
