"""A few files of an invented world, for tests that want posts and not the whole month."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from hoaxwatch.simulate.cascades import DAY, HOUR
from hoaxwatch.simulate.on_x import Moment, Page, is_there, written_text
from hoaxwatch.simulate.outbox import OutFile
from hoaxwatch.simulate.postings import Posting
from hoaxwatch.simulate.sightings import Ledger
from hoaxwatch.simulate.world import make_world


def write_samples(folder: Path, seed: int, n_posts: int = 600, n_days: int = 5) -> list[Path]:
    """Pages of X's API with a broken line behind them, and a table as minet gives it with the posts
    of the last two days again, with later counters."""
    folder.mkdir(parents=True, exist_ok=True)
    world = make_world(seed, n_days, n_posts)
    end = world.end + HOUR
    found = [
        p
        for p in world.postings
        if p.platform == "x" and p.found == "searched" and is_there(p, end)
    ]
    pages = OutFile(folder / "tweets.jsonl", "twitter_v2", Ledger())
    for i in range(0, len(found), 100):
        pages.write_json(Page(found[i : i + 100], Moment(end + i)).as_json())
    pages.write(b'{"data": [{"id": "2028999", "text": "this line was cut off by a full di')
    pages.close()
    table = folder / "collected_again.csv"
    again = [p for p in found if p.posted_at >= world.end - 2 * DAY and not p.root.is_edited]
    with table.open("w", encoding="utf-8", newline="") as out:
        rows = [_row(posting, end + 6 * HOUR) for posting in again]
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return [pages.path, table]


def _row(posting: Posting, at: float) -> dict[str, object]:
    shared, wording = posting.share_of, posting.root.wordings[0]
    text = written_text(posting.root, 0)
    if shared is not None:
        text = f"RT @{shared.author.handle_at(at)}: {text}"
    return {
        "id": posting.post_id,
        "timestamp_utc": posting.posted_at,
        "user_screen_name": posting.author.handle_at(at),
        "text": text,
        "retweet_count": posting.root.shares_at(at),
        "like_count": 0 if shared else posting.likes_at(at) + 1,
        "lang": wording.lang,
        "to_tweetid": posting.reply_to.post_id if posting.reply_to else "",
        "quoted_id": posting.quote_of.post_id if posting.quote_of else "",
        "user_id": posting.author.account_id,
        "user_followers": posting.author.followers_at(at, int(at)),
        "match_query": 1,
        "retweeted_id": shared.post_id if shared else "",
        "retweeted_user": shared.author.handle_at(at) if shared else "",
        "retweeted_user_id": shared.author.account_id if shared else "",
        "collection_time": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}",
        "links": "|".join(wording.links),
        "hashtags": "|".join(tag.lower() for tag in wording.tags),
    }
