"""A month of posts whose hashtags, shares and accounts are as unequal as real ones, loaded fast.

Rows go into the tables by COPY, as the pipeline would have left them; then their buckets are
marked and `track` counts them, as it counts everything.

What is drawn is skewed as in 27,537 tweets of one week of 2023 that were collected by some
hashtags: 56 % are shares, of about a quarter as many originals; of the others 47 % carry
hashtags, 2.3 on average, of which a third are one of ten (the greatest 18.5 %) and the rest from a
tail so long that two thirds of all hashtags were used once. Nothing makes a hashtag the topic of
one day, which is the harder case for the tables: more of its days have a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage import recount
from storage.database import Connection
from storage.positions import take_partitions
from streams.clustering import TrackOptions
from streams.steps import Owned, track

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 30
SHARES = 0.56
#: Shares that are the first of their original; the others follow one of the latest `RECENT`.
FIRST_SHARES, RECENT = 0.264, 0.04
#: How many hashtags an original has, and how often; the last stands for eight and more.
N_TAGS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 12])
HAS_TAGS = np.array([0.360, 0.286, 0.125, 0.069, 0.051, 0.029, 0.014, 0.010, 0.056])
#: The ten greatest hashtags, of all uses.
GREATEST = np.array([4348, 1377, 676, 307, 247, 214, 207, 200, 169, 167]) / 23463
#: Discount and strength of the other hashtags, and of accounts (see `draw_tail`).
TAIL, ACCOUNTS = (0.68, 120), (0.6, 3000)
DETECTOR, VERSION, THRESHOLD, ABSTAIN_BAND = "bench", "1", 0.5, 0.05
N_PARTS = 16


class Month(NamedTuple):
    """Posts in order of time; numbers instead of ids."""

    is_share: NDArray[np.bool_]
    #: The original of each post; of an original itself.
    root: NDArray[np.int64]
    account: NDArray[np.int64]
    #: Per post the hashtags of its own; of a share none.
    tags: Sequence[Sequence[str]]


def draw_tail(
    chance: np.random.Generator, n: int, discount: float, strength: float
) -> NDArray[np.int64]:
    """n draws of a Pitman-Yor process: a few values are frequent, most of them stand once or twice,
    and new ones never end. Source: Pitman and Yor, Annals of Probability 25 (1997)."""
    found: list[int] = []
    is_first: list[bool] = []
    n_values = 0
    for seen, (coin, where, whether) in enumerate(chance.random((n, 3)).tolist()):
        is_new = coin * (strength + seen) < strength + discount * n_values
        place = int(where * seen)
        while not is_new and is_first[place] and whether < discount:
            where, whether = chance.random(2).tolist()
            place = int(where * seen)
        found.append(n_values if is_new else found[place])
        is_first.append(is_new)
        n_values += is_new
    return np.array(found)


def draw_month(n_posts: int, seed: int = 1) -> Month:
    """Posts of a month."""
    chance = np.random.default_rng(seed)
    is_share = chance.random(n_posts) < SHARES
    is_share[:100] = False
    root = np.arange(n_posts)
    originals = np.flatnonzero(~is_share)
    shares = np.flatnonzero(is_share)
    before = np.searchsorted(originals, shares)
    recent = max(1, int(RECENT * n_posts))
    is_new = chance.random(len(shares)) < FIRST_SHARES
    places = chance.random(len(shares))
    for i, share in enumerate(shares.tolist()):
        if is_new[i] or i == 0:
            reach = min(recent, before[i])
            root[share] = originals[before[i] - 1 - int(places[i] * reach)]
        else:
            reach = min(recent, i)
            root[share] = root[shares[i - 1 - int(places[i] * reach)]]
    n_tags = chance.choice(N_TAGS, n_posts, p=HAS_TAGS)
    n_tags[is_share] = 0
    n_uses = int(n_tags.sum())
    great = chance.choice(
        len(GREATEST) + 1, n_uses, p=np.append(GREATEST, 1 - GREATEST.sum())
    ).tolist()
    tail = draw_tail(chance, n_uses, *TAIL).tolist()
    names = [
        f"topic{number}" if number < len(GREATEST) else f"t{rest}"
        for number, rest in zip(great, tail, strict=True)
    ]
    ends = np.cumsum(n_tags).tolist()
    tags = [sorted(set(names[end - n : end])) for end, n in zip(ends, n_tags.tolist(), strict=True)]
    return Month(is_share, root, draw_tail(chance, n_posts, *ACCOUNTS), tags)


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _copy(connection: Connection, table: str, lines: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(f"COPY hoaxwatch.{table} FROM STDIN") as copy:
        for line in lines:
            copy.write_row(line)


def load_month(connection: Connection, month: Month, seed: int = 1) -> None:
    """The rows of posts, contents, hashtags, accounts and verdicts, as the pipeline leaves them;
    then marks every bucket."""
    n_posts = len(month.root)
    chance = np.random.default_rng(seed)
    step = timedelta(days=DAYS) / n_posts
    first_id = 2_000_000_000_000_000_000
    scores = np.clip(chance.beta(0.8, 4, n_posts), 0, 1).round(6).tolist()
    abstains = (chance.random(n_posts) < 0.3).tolist()
    replies = (chance.random(n_posts) < 0.4).tolist()
    likes = chance.zipf(1.8, n_posts).clip(max=100_000).tolist()
    roots, shares = month.root.tolist(), month.is_share.tolist()
    accounts = month.account.tolist()
    seen = START + timedelta(days=DAYS)
    where = "{twitter_v2:month.jsonl}"

    def post_id(i: int) -> str:
        return str(first_id + i * 1_296_000)

    def posts() -> Iterator[tuple[Any, ...]]:
        for i, (root, is_share) in enumerate(zip(roots, shares, strict=True)):
            kind = "share" if is_share else "reply" if replies[i] else "original"
            shared = post_id(root) if is_share else None
            count = f'("{seen}",{likes[i]})'
            row = (START + i * step, f"a{accounts[i]}", post_id(root), kind, shared)
            counts = (count, count, None, None, None)
            last = (2, seen, _hash(post_id(i)), where)
            yield ("x", post_id(i), *row, None, None, "collected", *counts, *last)

    originals = [i for i, is_share in enumerate(shares) if not is_share]
    texts = {
        i: f"What we know of {i} so far, and what we do not, in some words." for i in originals
    }
    with connection.transaction():
        connection.execute(
            "INSERT INTO hoaxwatch.verdict_policy"
            " (detector, version, threshold, abstain_band, active, created_at)"
            " VALUES (%s, %s, %s, %s, true, %s)",
            (DETECTOR, VERSION, THRESHOLD, ABSTAIN_BAND, seen),
        )
        _copy(
            connection,
            "posts (platform, post_id, posted_at, author_id, root_id, kind, share_of, reply_to,"
            " quote_of, seen_as, likes, shares, replies, quotes, views, completeness, observed_at,"
            " payload_hash, provenance)",
            posts(),
        )
        _copy(
            connection,
            "content",
            (
                ("x", post_id(i), texts[i], "en", month.tags[i], [], 2, seen, b"", _hash(texts[i]))
                for i in originals
            ),
        )
        _copy(
            connection,
            "content_hashtags",
            ((tag, "x", post_id(i), tag) for i in originals for tag in month.tags[i]),
        )
        _copy(
            connection,
            "verdicts (platform, root_id, detector, version, input_hash, state, score, reason,"
            " evidence, scored_at)",
            (
                (
                    *("x", post_id(i), DETECTOR, VERSION, _hash(texts[i])),
                    *(
                        ("abstained", None, "unsure")
                        if abstains[i]
                        else ("scored", scores[i], None)
                    ),
                    *('[["some", 0.5], ["words", -0.2]]', seen),
                )
                for i in originals
            ),
        )
        _copy(
            connection,
            "authors (platform, author_id, handle, followers)",
            (
                ("x", f"a{number}", f'("{seen}",u{number})', f'("{seen}",{number % 9973})')
                for number in range(max(accounts) + 1)
            ),
        )
        connection.execute(
            "INSERT INTO hoaxwatch.dirty_buckets (hashtag, hour)"
            " SELECT DISTINCT h.hashtag, date_trunc('hour', p.posted_at, 'UTC')"
            " FROM hoaxwatch.posts p JOIN hoaxwatch.content_hashtags h USING (platform, root_id)"
        )
    connection.execute("VACUUM ANALYZE")


def count_month(connection: Connection, options: TrackOptions | None = None) -> Iterator[int]:
    """Counts what is marked, a part of the hashtags after the other; yields the trend rows so far.
    Stopped in between, it goes on where it was."""
    n_rows = 0
    recount.prepare(connection)
    epochs = take_partitions(connection, range(N_PARTS), "bench", datetime.now(UTC))
    for part, epoch in epochs.items():
        owned = Owned({part: epoch}, N_PARTS)
        n_rows += track(connection, options or TrackOptions(), owned).n_trend_rows
        yield n_rows
    connection.execute("VACUUM ANALYZE")
